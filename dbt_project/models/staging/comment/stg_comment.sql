with source as (
    select * from {{ source('raw', 'okr_user_events') }} where event_type = 'okr.comment.posted.v1'
),

renamed as (
    select
        data ->> 'comment_id' as comment_id,
        data ->> 'key_result_id' as key_result_id,
        data ->> 'user_id' as user_id,
        data ->> 'text' as comment,
        data ->> 'reply_to_comment_id' as reply_to_comment_id,
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
