with source as (
    select * from {{ source('raw', 'okr_system_metrics') }} where event_type = 'okr.host_metric.sampled.v1'
),

renamed as (
    select
        data ->> 'host' as host,
        data ->> 'metric' as metric,
        {{ json_float('value') }} as value,
        data ->> 'unit' as unit,
        event_id,
        occurred_at,
        recorded_at,
        recorded_at_assumed,
        logged_at,
        kafka_partition,
        kafka_offset
    from source
)

{{ deduplicate_events('renamed') }}
