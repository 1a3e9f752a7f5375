with source as (
    {{ first_copies(source('raw', 'okr_user_events'), 'okr.organisation.defined.v1') }}
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

select * from renamed
