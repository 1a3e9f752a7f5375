-- Grain: one row per host, metric, unit and hour, newest hour first, for the given number of hours up to the newest
-- sample. A page has at most limit + 1 rows and starts after the sort key of the previous page's last row.
-- hour_order: hours from the row's hour to 3000-01-01, so that one ascending row comparison covers the sort key.
WITH hourly AS (
    SELECT *, (extract(epoch FROM '3000-01-01 00:00+00'::timestamptz - hour_at) / 3600)::integer AS hour_order
    FROM marts.fct_system_health_hourly
    WHERE hour_at > (SELECT max(hour_at) FROM marts.fct_system_health_hourly) - make_interval(hours => %(hours)s)
)

SELECT host, metric, unit, hour_at, sample_count, min_value, mean_value, p95_value, max_value, hour_order
FROM hourly
WHERE
    %(after_hour_order)s::integer IS NULL
    OR (hour_order, host COLLATE "C", metric COLLATE "C", unit COLLATE "C")
    > (%(after_hour_order)s::integer, %(after_host)s::text, %(after_metric)s::text, %(after_unit)s::text)
ORDER BY hour_order, host COLLATE "C", metric COLLATE "C", unit COLLATE "C"
LIMIT %(limit)s + 1
