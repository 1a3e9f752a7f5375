-- Grain: one row per host, metric, unit and hour. from_day and to_day are days of hour_at, UTC, inclusive.
SELECT host, metric, unit, hour_at, sample_count, min_value, mean_value, p95_value, max_value
FROM marts.fct_system_health_hourly
WHERE
    (%(host)s::text [] IS NULL OR host = ANY(%(host)s))
    AND (%(metric)s::text [] IS NULL OR metric = ANY(%(metric)s))
    AND (
        %(hours)s::integer IS NULL
        OR hour_at > (SELECT max(hour_at) FROM marts.fct_system_health_hourly) - make_interval(hours => %(hours)s)
    )
    AND (%(from_day)s::date IS NULL OR hour_at >= %(from_day)s::timestamp AT TIME ZONE 'UTC')
    AND (%(to_day)s::date IS NULL OR hour_at < (%(to_day)s::date + 1)::timestamp AT TIME ZONE 'UTC')
