with latest_check_in as (
    select distinct on (check_in.key_result_id, check_in.cycle_id)
        check_in.key_result_id,
        check_in.cycle_id,
        check_in.value as latest_value,
        check_in.checked_in_at as latest_check_in_at,
        check_in.confidence as latest_confidence,
        count(*) over (partition by check_in.key_result_id, check_in.cycle_id)::integer as check_in_count
    from {{ ref('int_check_in') }} as check_in
    inner join {{ ref('int_key_result_cycle') }} as key_result
        on check_in.key_result_id = key_result.key_result_id
        and check_in.cycle_id is not distinct from key_result.cycle_id
    where key_result.final_at is null or check_in.checked_in_at <= key_result.final_at
    order by
        check_in.key_result_id, check_in.cycle_id, check_in.checked_in_at desc, check_in.is_closing desc,
        {{ log_order('desc', 'check_in') }}
),

measured as (
    select
        key_result.*,
        {{ team_label('key_result.team_id', 'key_result.team_name', 'team') }} as team_label,
        latest_check_in.latest_value,
        latest_check_in.latest_check_in_at,
        latest_check_in.latest_confidence,
        coalesce(latest_check_in.check_in_count, 0) as check_in_count,
        {{ utc_date('data_as_of') }} as today,
        {{ progress_ratio('latest_value', 'baseline', 'target') }} as progress_ratio,
        {{ elapsed_ratio(utc_date('data_as_of'), 'cycle_start', 'cycle_end') }} as expected_progress_ratio
    from {{ ref('int_key_result_cycle') }} as key_result
    cross join {{ ref('int_data_as_of') }}
    left join latest_check_in
        on key_result.key_result_id = latest_check_in.key_result_id
        and key_result.cycle_id is not distinct from latest_check_in.cycle_id
    left join {{ ref('int_team') }} as team on key_result.team_id = team.team_id
),

paced as (
    select *, {{ pace_ratio('progress_ratio', 'expected_progress_ratio') }} as pace_ratio from measured
),

stated as (
    select
        *,
        {{ key_result_status('today', 'progress_ratio', 'pace_ratio') }} as status
    from paced
),

-- The first day of the unbroken run of days with the current status.
running_since as (
    select
        stated.key_result_id,
        stated.cycle_id,
        coalesce(max(daily.day) filter (where daily.status <> stated.status) + 1, min(daily.day)) as since
    from stated
    inner join {{ ref('fct_key_result_daily') }} as daily
        on stated.key_result_id = daily.key_result_id and stated.cycle_id = daily.cycle_id
    where stated.status in ('no_check_in', 'on_track', 'at_risk', 'off_track')
    group by stated.key_result_id, stated.cycle_id
)

select
    stated.key_result_id,
    stated.cycle_id,
    stated.organisation,
    stated.team_id,
    stated.team_name,
    stated.team_label,
    stated.cycle_name,
    stated.cycle_start,
    stated.cycle_end,
    stated.objective_id,
    stated.objective_title,
    stated.title,
    stated.owner_user_id,
    stated.unit,
    stated.direction,
    stated.baseline,
    stated.target,
    stated.weight,
    stated.latest_value,
    stated.latest_check_in_at,
    stated.latest_confidence,
    stated.check_in_count,
    case
        when not stated.is_closed and not stated.is_archived
            then greatest(stated.today - {{ utc_date('stated.latest_check_in_at') }}, 0)
    end as days_since_check_in,
    stated.progress_ratio,
    {{ score_ratio('stated.progress_ratio') }} as score_ratio,
    stated.expected_progress_ratio,
    stated.pace_ratio,
    stated.status,
    case
        when stated.is_archived then {{ utc_date('stated.archived_at') }}
        when stated.is_closed then {{ utc_date('stated.final_at') }}
        when stated.status = 'awaiting_close' then stated.cycle_end + 1
        when stated.status in ('no_cycle', 'not_started') then {{ utc_date('stated.opened_at') }}
        else coalesce(running_since.since, {{ utc_date('stated.opened_at') }})
    end as status_since,
    stated.opened_at,
    stated.ended_at,
    stated.is_current_cycle,
    stated.is_archived,
    stated.archived_at,
    stated.archived_reason,
    stated.is_closed,
    stated.final_at,
    stated.final_value,
    stated.final_score,
    stated.is_achieved
from stated
left join running_since
    on stated.key_result_id = running_since.key_result_id and stated.cycle_id = running_since.cycle_id
