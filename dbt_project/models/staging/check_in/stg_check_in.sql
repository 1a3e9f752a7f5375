with source as (
    select * from {{ source('raw', 'okr_user_events') }} where event_type = 'okr.check_in.recorded.v1'
),

renamed as (
    select
        data ->> 'check_in_id' as check_in_id,
        data ->> 'key_result_id' as key_result_id,
        {{ json_float('value') }} as value,
        data ->> 'user_id' as user_id,
        {{ json_float('confidence') }} as confidence,
        data ->> 'note' as note,
        coalesce((data ->> 'is_final')::boolean, false) as is_final,
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
