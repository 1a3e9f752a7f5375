with source as (
    select * from {{ source('raw', 'okr_user_events') }} where event_type = 'okr.cycle.defined.v1'
),

renamed as (
    select
        data ->> 'cycle_id' as cycle_id,
        data ->> 'organisation_id' as organisation_id,
        data ->> 'name' as name,
        (data ->> 'starts_on')::date as starts_on,
        (data ->> 'ends_on')::date as ends_on,
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
