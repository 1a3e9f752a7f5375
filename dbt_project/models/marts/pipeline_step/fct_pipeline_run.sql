-- Only the last try of each step is included.
with step as (
    select distinct on (pipeline, run_id, step)
        pipeline,
        run_id,
        step,
        state,
        coalesce(started_at, occurred_at) as started_at,
        greatest(coalesce(finished_at, occurred_at), started_at) as finished_at,
        row_count,
        message
    from {{ ref('stg_pipeline_step') }}
    order by pipeline, run_id, step, occurred_at desc, {{ log_order('desc') }}
)

select
    pipeline,
    run_id,
    min(started_at) as started_at,
    max(finished_at) as finished_at,
    extract(epoch from max(finished_at) - min(started_at))::double precision as duration_s,
    count(*) as step_count,
    count(*) filter (where state = 'failed') as failed_step_count,
    case when bool_or(state = 'failed') then 'failed' else 'success' end as state,
    (array_agg(step order by finished_at, step) filter (where state = 'failed'))[1] as first_failed_step,
    (array_agg(message order by finished_at, step) filter (where state = 'failed'))[1] as failure_message
from step
group by pipeline, run_id
