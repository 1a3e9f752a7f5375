-- Grain: host, metric, unit and hour, of the last hours that hold samples.
SELECT host, metric, unit, hour_at, sample_count, min_value, mean_value, p95_value, max_value
FROM marts.fct_system_health_hourly
WHERE hour_at > (SELECT max(hour_at) FROM marts.fct_system_health_hourly) - make_interval(hours => %(hours)s)
ORDER BY hour_at DESC, host, metric, unit
LIMIT 10000
