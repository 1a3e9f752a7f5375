with source as (
    select * from {{ source('raw', 'okr_user_events') }} where event_type = 'okr.team.archived.v1'
),

renamed as (
    select
        data ->> 'team_id' as team_id,
        data ->> 'successor_team_id' as successor_team_id,
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
