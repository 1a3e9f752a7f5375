{{ config(indexes=[{'columns': ['key_result_id', 'cycle_id'], 'unique': true}]) }}

-- The last row of each key result in each cycle.
with last_row as (
    select distinct on (pace.key_result_id, pace.cycle_id)
        pace.*,
        series.series_id,
        key_result.organisation,
        pace.target - pace.baseline as gain
    from {{ ref('int_key_result_pace') }} as pace
    inner join {{ ref('int_key_result_series') }} as series using (key_result_id)
    inner join {{ ref('int_key_result') }} as key_result using (key_result_id)
    where pace.as_of_kind = 'check_in'
    order by pace.key_result_id, pace.cycle_id, pace.as_of desc
),

-- Each way in which a key result can be closed: by a closing check-in, or with its cycle, at its latest value.
closing as (
    select
        last_row.*,
        check_in.checked_in_at as closed_at,
        check_in.value as final_value,
        greatest(check_in.recorded_at, check_in.checked_in_at, last_row.known_at) as closing_known_at
    from last_row
    inner join {{ ref('int_check_in_version') }} as check_in
        on last_row.key_result_id = check_in.key_result_id and last_row.as_of <= check_in.checked_in_at
    where check_in.is_final
    union all
    select last_row.*, cycle.closed_at, last_row.value, greatest(cycle.closing_recorded_at, last_row.known_at)
    from last_row
    inner join {{ ref('int_cycle') }} as cycle on last_row.cycle_id = cycle.cycle_id
    where cycle.closed_at >= last_row.as_of
),

-- The closing that was recorded first counts: a later correction must not change what was known before it.
first_closing as (
    select distinct on (key_result_id, cycle_id)
        *,
        least(greatest({{ days_between('starts_at', 'closed_at') }}, last_day), cycle_days) as closed_day
    from closing
    order by key_result_id, cycle_id, closing_known_at, closed_at, final_value
)

select
    key_result_id,
    cycle_id,
    series_id,
    organisation,
    starts_at,
    ends_at,
    baseline,
    final_value,
    closing_known_at as known_at,
    squared_steps + {{ square('final_value - value') }} / greatest(closed_day - last_day, {{ var('min_step_days') }})
        as squared_steps,
    check_ins + 1 as steps,
    {{ square('final_value - baseline') }} / cycle_days as squared_change,
    {{ square('gain') }} as squared_gain,
    sum_of_values + baseline + final_value as sum_of_values,
    check_ins + 2 as points
from first_closing
