with source as (
    select * from {{ source('raw', 'okr_system_metrics') }} where event_type = 'okr.app_metric.sampled.v1'
),

renamed as (
    select
        data ->> 'app' as app,
        data ->> 'instance' as instance,
        data ->> 'metric' as metric,
        {{ json_float('value') }} as value,
        data ->> 'unit' as unit,
        coalesce(data -> 'labels', '{}'::jsonb) as labels,
        {{ json_float('window_seconds') }} as window_seconds,
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
