-- The team, cycle and definition at the end of each day on which the key result is not archived. A target set after
-- the closing is for the next cycle and does not change the outcome in this one.
with placed as (
    select
        counted.key_result_id,
        counted.counted_cycle_id,
        counted.team_id,
        counted.team_name,
        counted.cycle_id,
        case when counted.from_at > key_result.final_at then key_result.baseline else definition.baseline end as baseline,
        case when counted.from_at > key_result.final_at then key_result.target else definition.target end as target,
        cycle.cycle_start,
        cycle.cycle_end,
        {{ utc_date('key_result.final_at') }} as closed_on,
        greatest(counted.from_day, cycle.cycle_start) as from_day,
        least(counted.to_day, cycle.cycle_end, {{ utc_date('data_as_of') }}) as to_day
    from {{ ref('int_key_result_counted_cycle') }} as counted
    inner join {{ ref('int_key_result_version') }} as definition
        on counted.key_result_id = definition.key_result_id and counted.version_number = definition.version_number
    inner join {{ ref('int_cycle') }} as cycle on counted.cycle_id = cycle.cycle_id
    inner join {{ ref('int_key_result_cycle') }} as key_result
        on counted.key_result_id = key_result.key_result_id
        and counted.counted_cycle_id is not distinct from key_result.cycle_id
    cross join {{ ref('int_data_as_of') }}
    where not counted.is_archived
),

-- Check-ins after the closing check-in are ignored.
relevant_check_in as (
    select
        check_in.key_result_id,
        check_in.cycle_id,
        {{ utc_date('check_in.checked_in_at') }} as checked_in_on,
        check_in.value,
        row_number() over (
            partition by check_in.key_result_id, check_in.cycle_id, {{ utc_date('check_in.checked_in_at') }}
            order by check_in.checked_in_at desc, check_in.is_closing desc, {{ log_order('desc', 'check_in') }}
        ) as latest_first,
        count(*) over (
            partition by check_in.key_result_id, check_in.cycle_id, {{ utc_date('check_in.checked_in_at') }}
        ) as check_in_count
    from {{ ref('int_check_in') }} as check_in
    inner join {{ ref('int_key_result_cycle') }} as key_result
        on check_in.key_result_id = key_result.key_result_id
        and check_in.cycle_id is not distinct from key_result.cycle_id
    where key_result.final_at is null or check_in.checked_in_at <= key_result.final_at
),

-- A value applies from the day of its check-in to the day before the next one. `spanned` clips the days to the cycle.
value_span as (
    select
        key_result_id,
        cycle_id,
        checked_in_on,
        value,
        check_in_count,
        checked_in_on as from_day,
        coalesce(lead(checked_in_on) over by_day - 1, 'infinity') as to_day
    from relevant_check_in
    where latest_first = 1
    window by_day as (partition by key_result_id, cycle_id order by checked_in_on)
    union all
    select
        key_result.key_result_id,
        key_result.cycle_id,
        null as checked_in_on,
        null as value,
        null as check_in_count,
        '-infinity'::date as from_day,
        coalesce(first_check_in.checked_in_on - 1, 'infinity') as to_day
    from {{ ref('int_key_result_cycle') }} as key_result
    left join (
        select key_result_id, cycle_id, min(checked_in_on) as checked_in_on
        from relevant_check_in
        group by key_result_id, cycle_id
    ) as first_check_in
        on key_result.key_result_id = first_check_in.key_result_id
        and key_result.cycle_id is not distinct from first_check_in.cycle_id
),

spanned as (
    select
        placed.key_result_id,
        placed.team_id,
        placed.team_name,
        placed.cycle_id,
        day::date as day,
        placed.baseline,
        placed.target,
        span.value as latest_value,
        {{ progress_ratio('span.value', 'placed.baseline', 'placed.target') }} as progress_ratio,
        {{ elapsed_ratio('day::date', 'placed.cycle_start', 'placed.cycle_end') }} as expected_progress_ratio,
        day::date - span.checked_in_on as days_since_check_in,
        case when day::date = span.checked_in_on then span.check_in_count else 0 end::integer as check_in_count,
        coalesce(day::date >= placed.closed_on, false) as is_closed
    from placed
    inner join value_span as span
        on placed.key_result_id = span.key_result_id
        and placed.counted_cycle_id is not distinct from span.cycle_id
        and placed.from_day <= span.to_day and span.from_day <= placed.to_day
    cross join lateral generate_series(
        greatest(span.from_day, placed.from_day)::timestamp,
        least(span.to_day, placed.to_day)::timestamp,
        interval '1 day'
    ) as day
    where placed.from_day <= placed.to_day
),

paced as (
    select
        *,
        {{ score_ratio('progress_ratio') }} as score_ratio,
        {{ pace_ratio('progress_ratio', 'expected_progress_ratio') }} as pace_ratio
    from spanned
)

select
    key_result_id,
    day,
    paced.team_id,
    team.organisation_id,
    team_name,
    cycle_id,
    baseline,
    target,
    latest_value,
    progress_ratio,
    score_ratio,
    expected_progress_ratio,
    pace_ratio,
    days_since_check_in,
    check_in_count,
    is_closed,
    case
        when is_closed then {{ closed_status('coalesce(score_ratio, 0)') }}
        else {{ open_status('progress_ratio', 'pace_ratio') }}
    end as status
from paced
left join {{ ref('int_team') }} as team on paced.team_id = team.team_id
