with source as (
    select * from {{ source('raw', 'okr_user_events') }} where event_type = 'okr.objective.defined.v1'
),

renamed as (
    select
        data ->> 'objective_id' as objective_id,
        data ->> 'team_id' as team_id,
        data ->> 'cycle_id' as cycle_id,
        data ->> 'title' as title,
        data ->> 'parent_objective_id' as parent_objective_id,
        data ->> 'owner_user_id' as owner_user_id,
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
