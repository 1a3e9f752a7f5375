with source as (
    select * from {{ source('raw', 'okr_user_events') }} where event_type = 'okr.key_result.defined.v1'
),

renamed as (
    select
        data ->> 'key_result_id' as key_result_id,
        data ->> 'objective_id' as objective_id,
        data ->> 'title' as title,
        data ->> 'unit' as unit,
        {{ json_float('baseline') }} as baseline,
        {{ json_float('target') }} as target,
        data ->> 'direction' as direction,
        greatest(coalesce({{ json_float('weight') }}, 1.0), 1e-9) as weight,
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
