with source as (
    select * from {{ source('raw', 'okr_user_events') }} where event_type = 'okr.page.viewed.v1'
),

renamed as (
    select
        data ->> 'user_id' as user_id,
        data ->> 'page' as page,
        data ->> 'key_result_id' as key_result_id,
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
