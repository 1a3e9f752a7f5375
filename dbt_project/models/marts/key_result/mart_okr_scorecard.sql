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
        team.organisation_id as team_organisation_id,
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

with_status as (
    select
        *,
        {{ key_result_status('today', 'progress_ratio', 'pace_ratio') }} as status
    from paced
),

-- The first day of the unbroken run of days with the current status.
running_since as (
    select
        with_status.key_result_id,
        with_status.cycle_id,
        coalesce(max(daily.day) filter (where daily.status <> with_status.status) + 1, min(daily.day)) as since
    from with_status
    inner join {{ ref('fct_key_result_daily') }} as daily
        on with_status.key_result_id = daily.key_result_id and with_status.cycle_id = daily.cycle_id
    where with_status.status in ('no_check_in', 'on_track', 'at_risk', 'off_track')
    group by with_status.key_result_id, with_status.cycle_id
),

next_cycle as (
    select distinct on (key_result_id, opened_at) key_result_id, opened_at, cycle_start, cycle_end
    from with_status
    where not is_archived
    order by key_result_id, opened_at, cycle_id
)

select
    with_status.key_result_id,
    with_status.cycle_id,
    coalesce(with_status.team_organisation_id, with_status.organisation_id) as organisation_id,
    with_status.organisation,
    with_status.team_id,
    with_status.team_name,
    with_status.team_label,
    with_status.cycle_name,
    with_status.cycle_start,
    with_status.cycle_end,
    with_status.objective_id,
    with_status.objective_title,
    with_status.title,
    with_status.owner_user_id,
    with_status.unit,
    with_status.direction,
    with_status.baseline,
    with_status.target,
    with_status.weight,
    with_status.latest_value,
    with_status.latest_check_in_at,
    with_status.latest_confidence,
    with_status.check_in_count,
    case
        when not with_status.is_closed and not with_status.is_archived
            then greatest(with_status.today - {{ utc_date('with_status.latest_check_in_at') }}, 0)
    end as days_since_check_in,
    with_status.progress_ratio,
    {{ score_ratio('with_status.progress_ratio') }} as score_ratio,
    with_status.expected_progress_ratio,
    with_status.pace_ratio,
    with_status.status,
    case
        when with_status.is_archived then {{ utc_date('with_status.archived_at') }}
        when with_status.is_closed then {{ utc_date('with_status.final_at') }}
        when with_status.status = 'awaiting_close' then with_status.cycle_end + 1
        when with_status.status in ('no_cycle', 'not_started') then {{ utc_date('with_status.opened_at') }}
        else coalesce(running_since.since, {{ utc_date('with_status.opened_at') }})
    end as status_since,
    with_status.opened_at,
    with_status.ended_at,
    with_status.is_current_cycle,
    case
        when next_cycle.key_result_id is not null
            then {{ last_day_to_close('with_status.cycle_end', 'next_cycle.cycle_start', 'next_cycle.cycle_end') }}
    end as closable_until,
    with_status.is_archived,
    with_status.archived_at,
    with_status.archived_reason,
    with_status.is_closed,
    with_status.final_at,
    with_status.final_value,
    with_status.final_score,
    with_status.is_achieved
from with_status
left join running_since
    on with_status.key_result_id = running_since.key_result_id and with_status.cycle_id = running_since.cycle_id
left join next_cycle
    on with_status.status = 'awaiting_close'
    and with_status.key_result_id = next_cycle.key_result_id and with_status.ended_at = next_cycle.opened_at
