with source as (
    select * from {{ source('raw', 'okr_user_events') }} where event_type = 'okr.organisation.defined.v1'
),

renamed as (
    select
        data ->> 'organisation_id' as organisation_id,
        data ->> 'name' as name,
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
