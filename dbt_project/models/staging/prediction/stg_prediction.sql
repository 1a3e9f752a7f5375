-- Version 2 of the event carries the output of any model. Its forecasts of key results are converted to the fields of
-- version 1.
with source as (
    select
        event_id,
        occurred_at,
        recorded_at,
        recorded_at_assumed,
        logged_at,
        kafka_partition,
        kafka_offset,
        case
            when event_type = 'okr.prediction.served.v2'
                then (data -> 'output') || data || jsonb_build_object('key_result_id', data ->> 'subject_id')
            else data
        end as data
    from {{ source('raw', 'okr_ai_predictions') }}
    where
        event_type = 'okr.prediction.served.v1'
        or (
            event_type = 'okr.prediction.served.v2'
            and data ->> 'outcome_type' = 'key_result_achieved'
            and data ->> 'subject_type' = 'key_result'
        )
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
        data ->> 'experiment' as experiment,
        data ->> 'arm' as arm,
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
