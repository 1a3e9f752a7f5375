with latest_check_in as (
    select distinct on (key_result_id)
        check_in.key_result_id,
        check_in.value as latest_value,
        check_in.checked_in_at as latest_check_in_at,
        check_in.confidence as latest_confidence,
        count(*) over (partition by check_in.key_result_id)::integer as check_in_count
    from {{ ref('int_check_in') }} as check_in
    inner join {{ ref('int_key_result') }} as key_result using (key_result_id)
    where key_result.final_at is null or check_in.checked_in_at <= key_result.final_at
    order by
        check_in.key_result_id, check_in.checked_in_at desc, check_in.is_final desc, check_in.recorded_at desc,
        check_in.check_in_id desc
),

measured as (
    select
        key_result.*,
        latest_check_in.latest_value,
        latest_check_in.latest_check_in_at,
        latest_check_in.latest_confidence,
        coalesce(latest_check_in.check_in_count, 0) as check_in_count,
        {{ utc_date('data_as_of') }} as today,
        {{ progress_ratio('latest_value', 'baseline', 'target') }} as progress_ratio,
        {{ elapsed_ratio(utc_date('data_as_of'), 'cycle_start', 'cycle_end') }} as expected_progress_ratio
    from {{ ref('int_key_result') }} as key_result
    cross join {{ ref('int_data_as_of') }}
    left join latest_check_in using (key_result_id)
),

paced as (
    select *, {{ pace_ratio('progress_ratio', 'expected_progress_ratio') }} as pace_ratio from measured
),

judged as (
    select
        *,
        case
            when is_closed then {{ closed_status('final_score') }}
            when cycle_start is null then 'no_cycle'
            when today < cycle_start then 'not_started'
            when today > cycle_end then 'awaiting_close'
            else {{ open_status('progress_ratio', 'pace_ratio') }}
        end as status
    from paced
),

-- The first day of the unbroken run of days with the status of today.
running_since as (
    select
        judged.key_result_id,
        coalesce(max(daily.day) filter (where daily.status <> judged.status) + 1, min(daily.day)) as since
    from judged
    inner join {{ ref('fct_key_result_daily') }} as daily using (key_result_id)
    where judged.status in ('no_check_in', 'on_track', 'at_risk', 'off_track')
    group by judged.key_result_id
)

select
    key_result_id,
    organisation,
    team_id,
    team_name,
    cycle_id,
    cycle_name,
    cycle_start,
    cycle_end,
    objective_id,
    objective_title,
    title,
    owner_user_id,
    unit,
    direction,
    baseline,
    target,
    weight,
    latest_value,
    latest_check_in_at,
    latest_confidence,
    check_in_count,
    case when not is_closed then greatest(today - {{ utc_date('latest_check_in_at') }}, 0) end as days_since_check_in,
    progress_ratio,
    {{ score_ratio('progress_ratio') }} as score_ratio,
    expected_progress_ratio,
    pace_ratio,
    status,
    case
        when is_closed then {{ utc_date('final_at') }}
        when status = 'awaiting_close' then cycle_end + 1
        when status in ('no_cycle', 'not_started') then {{ utc_date('defined_at') }}
        else since
    end as status_since,
    is_closed,
    final_at,
    final_value,
    final_score,
    is_achieved
from judged
left join running_since using (key_result_id)
