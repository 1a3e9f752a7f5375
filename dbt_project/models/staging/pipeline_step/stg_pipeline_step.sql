with source as (
    select * from {{ source('raw', 'okr_data_pipeline') }} where event_type = 'okr.pipeline_step.finished.v1'
),

renamed as (
    select
        data ->> 'pipeline' as pipeline,
        data ->> 'step' as step,
        data ->> 'run_id' as run_id,
        data ->> 'state' as state,
        {{ json_timestamp('started_at') }} as started_at,
        {{ json_timestamp('finished_at') }} as finished_at,
        {{ json_integer('rows') }} as row_count,
        data ->> 'message' as message,
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
