with source as (
    select * from {{ source('raw', 'okr_data_pipeline') }} where event_type = 'okr.alert.changed.v1'
),

renamed as (
    select
        data ->> 'fingerprint' as fingerprint,
        data ->> 'alert' as alert,
        data ->> 'status' as status,
        {{ json_timestamp('starts_at') }} as starts_at,
        {{ json_timestamp('ends_at') }} as ends_at,
        data ->> 'severity' as severity,
        data ->> 'service' as service,
        data ->> 'summary' as summary,
        data ->> 'runbook' as runbook,
        coalesce(data -> 'labels', '{}'::jsonb) as labels,
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
