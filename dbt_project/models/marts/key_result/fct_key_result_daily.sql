with key_result as (
    select
        key_result.*,
        {{ utc_date('final_at') }} as closed_on,
        least(cycle_end, {{ utc_date('data_as_of') }}) as last_day
    from {{ ref('int_key_result') }} as key_result
    cross join {{ ref('int_data_as_of') }}
    where cycle_start <= {{ utc_date('data_as_of') }}
),

-- What was checked in after the closing check-in changes nothing any more.
counted as (
    select
        check_in.key_result_id,
        {{ utc_date('check_in.checked_in_at') }} as checked_in_on,
        key_result.cycle_start,
        key_result.last_day,
        check_in.value,
        row_number() over (
            partition by check_in.key_result_id, {{ utc_date('check_in.checked_in_at') }}
            order by check_in.checked_in_at desc, check_in.is_final desc, check_in.recorded_at desc, check_in_id desc
        ) as latest_first,
        count(*) over (
            partition by check_in.key_result_id, {{ utc_date('check_in.checked_in_at') }}
        ) as check_in_count
    from {{ ref('int_check_in') }} as check_in
    inner join key_result using (key_result_id)
    where key_result.final_at is null or check_in.checked_in_at <= key_result.final_at
),

-- A value holds from its day until the day before the next one; one from before the cycle holds from its start.
value_span as (
    select
        key_result_id,
        checked_in_on,
        value,
        check_in_count,
        greatest(checked_in_on, cycle_start) as from_day,
        coalesce(lead(checked_in_on) over by_day - 1, last_day) as to_day
    from counted
    where latest_first = 1 and checked_in_on <= last_day
    window by_day as (partition by key_result_id order by checked_in_on)
    union all
    select
        key_result.key_result_id,
        null as checked_in_on,
        null as value,
        null as check_in_count,
        key_result.cycle_start as from_day,
        coalesce(first_check_in.checked_in_on - 1, key_result.last_day) as to_day
    from key_result
    left join (select key_result_id, min(checked_in_on) as checked_in_on from counted group by 1) as first_check_in
        on key_result.key_result_id = first_check_in.key_result_id
),

-- Likewise a definition: a day is measured by the one that held when it ended, days before the first one by the first.
definition_span as (
    select
        key_result_id,
        baseline,
        target,
        case when version_number = 1 then '-infinity'::date else {{ utc_date('valid_from') }} end as from_day,
        coalesce({{ utc_date('valid_to') }} - 1, 'infinity'::date) as to_day
    from {{ ref('int_key_result_version') }}
),

spanned as (
    select
        key_result.key_result_id,
        key_result.team_id,
        key_result.cycle_id,
        day::date as day,
        definition.baseline,
        definition.target,
        span.value as latest_value,
        {{ progress_ratio('span.value', 'definition.baseline', 'definition.target') }} as progress_ratio,
        {{ elapsed_ratio('day::date', 'key_result.cycle_start', 'key_result.cycle_end') }} as expected_progress_ratio,
        day::date - span.checked_in_on as days_since_check_in,
        case when day::date = span.checked_in_on then span.check_in_count else 0 end::integer as check_in_count,
        coalesce(day::date >= key_result.closed_on, false) as is_closed
    from key_result
    inner join value_span as span on key_result.key_result_id = span.key_result_id
    inner join definition_span as definition
        on key_result.key_result_id = definition.key_result_id
        and definition.from_day <= span.to_day and span.from_day <= definition.to_day
    cross join lateral generate_series(
        greatest(span.from_day, definition.from_day)::timestamp,
        least(span.to_day, definition.to_day, key_result.last_day)::timestamp,
        interval '1 day'
    ) as day
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
    team_id,
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
        when is_closed then {{ closed_status('score_ratio') }}
        else {{ open_status('progress_ratio', 'pace_ratio') }}
    end as status
from paced
