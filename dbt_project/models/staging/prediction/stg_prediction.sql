with source as (
    select * from {{ source('raw', 'okr_ai_predictions') }} where event_type = 'okr.prediction.served.v1'
),

renamed as (
    select
        data ->> 'prediction_id' as prediction_id,
        data ->> 'key_result_id' as key_result_id,
        {{ json_timestamp('as_of') }} as as_of,
        {{ json_float('probability') }} as probability,
        {{ json_float('low') }} as low,
        {{ json_float('high') }} as high,
        data ->> 'model_name' as model_name,
        data ->> 'model_version' as model_version,
        data ->> 'role' as role,
        {{ json_integer('publication_id') }} as publication_id,
        data ->> 'cycle_id' as cycle_id,
        {{ json_timestamp('trained_until') }} as trained_until,
        coalesce(data -> 'reasons', '[]'::jsonb) as reasons,
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
