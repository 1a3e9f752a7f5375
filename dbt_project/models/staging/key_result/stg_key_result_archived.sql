with source as (
    select * from {{ source('raw', 'okr_user_events') }} where event_type = 'okr.key_result.archived.v1'
),

renamed as (
    select
        data ->> 'key_result_id' as key_result_id,
        data ->> 'reason' as reason,
        data ->> 'user_id' as user_id,
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
