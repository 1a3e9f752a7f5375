{{ config(indexes=[
    {'columns': ['check_in_id'], 'unique': true},
    {'columns': ['key_result_id', 'checked_in_at']},
]) }}

-- Of several versions of a check-in, int_check_in_version.sql decides which one counts (is_current).
with latest as (
    select * from {{ ref('int_check_in_version') }} where is_current
),

-- The team, cycle and definition of the key result at the time of the check-in. For a late closing check-in, they
-- come from the last state in the cycle that the key result has left.
placed as (
    select
        latest.*,
        case when closed.key_result_id is null then counted.team_id else closed.team_id end as team_id,
        counted.cycle_id as placed_cycle_id,
        case when closed.key_result_id is null then counted.counted_cycle_id else closed.counted_cycle_id end
            as cycle_id,
        counted.key_result_id is not null as is_key_result_known,
        coalesce(counted.is_archived, false) as is_archived,
        {{ progress_ratio('latest.value', 'definition.baseline', 'definition.target') }} as progress_ratio
    from latest
    left join {{ ref('int_key_result_counted_cycle') }} as counted
        on latest.key_result_id = counted.key_result_id
        and latest.checked_in_at >= counted.from_at and latest.checked_in_at < counted.to_at
    left join {{ ref('int_key_result_counted_cycle') }} as closed
        on latest.key_result_id = closed.key_result_id and latest.check_in_id = closed.late_closing_id
    left join {{ ref('int_key_result_version') }} as definition
        on counted.key_result_id = definition.key_result_id
        and coalesce(closed.version_number, counted.version_number) = definition.version_number
)

select
    placed.check_in_id,
    placed.key_result_id,
    placed.is_key_result_known,
    placed.user_id,
    placed.team_id,
    placed.cycle_id,
    placed.placed_cycle_id,
    cycle.cycle_start,
    cycle.cycle_end,
    placed.checked_in_at,
    placed.recorded_at,
    placed.value,
    placed.confidence,
    placed.note,
    placed.is_final,
    (placed.is_final or coalesce(placed.checked_in_at > cycle.closed_at, false)) and not placed.is_archived
        as is_closing,
    placed.progress_ratio,
    {{ elapsed_ratio(utc_date('placed.checked_in_at'), 'cycle.cycle_start', 'cycle.cycle_end') }} as elapsed_ratio,
    placed.version_number,
    placed.logged_at,
    placed.kafka_partition,
    placed.kafka_offset
from placed
left join {{ ref('int_cycle') }} as cycle using (cycle_id)
