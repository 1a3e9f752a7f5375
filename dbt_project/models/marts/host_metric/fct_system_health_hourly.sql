select
    host,
    metric,
    unit,
    date_trunc('hour', occurred_at, 'UTC') as hour_at,
    count(*) as sample_count,
    min(value) as min_value,
    {{ exact_mean('value') }} as mean_value,
    percentile_cont(0.95) within group (order by value) as p95_value,
    max(value) as max_value
from {{ ref('stg_host_metric') }}
group by host, metric, unit, date_trunc('hour', occurred_at, 'UTC')
