{{ config(indexes=[{'columns': ['key_result_id', 'from_at'], 'unique': true}]) }}

-- The cycle in which a key result's check-ins count, by time: see `counted` below.
with first_defined as (
    select key_result_id, valid_from as defined_at
    from {{ ref('int_key_result_version') }}
    where version_number = 1
),

-- Grain: one span, which is a row of int_key_result_placement, with the attributes of its stay. Window functions
-- compute these, because the planner would estimate a single row for a join with a grouped subquery.
span as (
    select
        placement.*,
        cycle.cycle_start,
        cycle.cycle_end,
        cycle.closed_at,
        cycle.ended_at,
        max(placement.to_at) over by_stay as stay_to_at,
        coalesce(
            greatest(min(placement.from_at) over by_stay, first_defined.defined_at) < cycle.ended_at
            and cycle.ended_at <= max(placement.to_at) over by_stay,
            false
        ) as is_at_end
    from {{ ref('int_key_result_placement') }} as placement
    inner join first_defined using (key_result_id)
    left join {{ ref('int_cycle') }} as cycle using (cycle_id)
    window by_stay as (partition by placement.key_result_id, placement.stay_number)
),

-- Grain: one stay, with the number of closing check-ins made during it and the first of them. A check-in closes the
-- key result if it is final, or if it corrects the result after the cycle was closed. Final check-ins take precedence
-- over corrections.
stay as (
    select distinct on (key_result_id, stay_number) *
    from (
        select
            span.key_result_id,
            span.stay_number,
            span.cycle_start,
            span.cycle_end,
            bool_or(
                span.is_at_end and not span.is_archived and span.from_at < span.ended_at
                and span.ended_at <= span.to_at
            ) over by_stay as is_open_at_end,
            count(closing.check_in_id) over by_stay as closings,
            closing.check_in_id,
            closing.is_final,
            closing.checked_in_at,
            {{ log_order('', 'closing') }}
        from span
        left join {{ ref('int_check_in_version') }} as closing
            on span.key_result_id = closing.key_result_id
            and closing.checked_in_at >= span.from_at and closing.checked_in_at < span.to_at
            and not span.is_archived
            and closing.is_current and (closing.is_final or closing.checked_in_at > span.closed_at)
        window by_stay as (partition by span.key_result_id, span.stay_number)
    ) as joined
    order by key_result_id, stay_number, is_final desc nulls last, checked_in_at, {{ log_order() }}
),

-- is_soon: the final check-in was made soon after the end of the previous stay's cycle, at the end of which the key
-- result was still open. It then closes the previous stay, unless another check-in has already closed it.
followed as (
    select
        *,
        lag(stay_number) over by_time as past_stay_number,
        coalesce(
            is_final and lag(is_open_at_end) over by_time
            and {{ utc_date('checked_in_at') }}
            <= {{ last_day_to_close('lag(cycle_end) over by_time', 'cycle_start', 'cycle_end') }},
            false
        ) as is_soon
    from stay
    window by_time as (partition by key_result_id order by stay_number)
),

-- is_closed: whether a check-in made during the stay closes it. If the stay's only closing check-in has is_soon, that
-- check-in closes the previous stay if it is still open, and otherwise this stay. In both cases, is_closed is the same
-- for both stays. Such a stay therefore has the same run_number as the previous one, and the first stay of a run
-- determines is_closed for the whole run.
stay_result as (
    select
        *,
        first_value(closings > 0) over (partition by key_result_id, run_number order by stay_number) as is_closed
    from (
        select
            *,
            count(*) filter (where closings <> 1 or not is_soon) over (
                partition by key_result_id order by stay_number
            ) as run_number
        from followed
    ) as counted_stay
),

late_closing as (
    select *
    from (
        select
            key_result_id,
            past_stay_number,
            check_in_id,
            is_soon and not lag(is_closed) over (partition by key_result_id order by stay_number) as is_late
        from stay_result
    ) as first_closing
    where is_late
),

-- A stay counts if it is the current one, if the key result was closed in it, or if it lasted until its cycle was over.
-- In any other stay, the key result was only planned for the cycle; the stay and its check-ins are attributed to the
-- next one that counts.
counted as (
    select
        *,
        min(stay_number) filter (where is_counted) over following as counted_stay_number,
        (array_agg(cycle_id) filter (where is_counted) over following)[1] as counted_cycle_id
    from (
        select
            span.*,
            span.stay_to_at = 'infinity'
            or span.is_at_end
            or coalesce(stay_result.is_closed, false) as is_counted
        from span
        left join stay_result using (key_result_id, stay_number)
    ) as marked
    window following as (partition by key_result_id order by from_at rows between current row and unbounded following)
)

select
    counted.key_result_id,
    counted.from_at,
    counted.to_at,
    counted.from_day,
    counted.to_day,
    counted.version_number,
    counted.objective_id,
    counted.objective_title,
    counted.team_id,
    counted.team_name,
    counted.team_organisation_id,
    counted.cycle_id,
    counted.stay_number,
    counted.counted_stay_number,
    counted.counted_cycle_id,
    counted.is_archived,
    counted.archived_at,
    counted.archived_reason,
    case
        when
            lead(counted.stay_number) over (partition by counted.key_result_id order by counted.from_at)
            is distinct from counted.stay_number
            then late_closing.check_in_id
    end as late_closing_id
from counted
left join late_closing
    on counted.key_result_id = late_closing.key_result_id and counted.stay_number = late_closing.past_stay_number
