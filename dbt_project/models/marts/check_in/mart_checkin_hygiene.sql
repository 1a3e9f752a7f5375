-- Grain: one team, cycle and week.
-- weekly has one row per team, cycle, key result and week, with the state on the last day on which the key result
-- belonged to the team.
with weekly as (
    select
        team_id,
        cycle_id,
        key_result_id,
        date_trunc('week', day::timestamp)::date as week_start,
        max(day) as last_day,
        sum(check_in_count) as check_in_count,
        -- day - days_since_check_in is the day of the latest check-in so far. Its maximum over the week is therefore the
        -- day of the latest check-in up to last_day.
        max(day) - max(day - days_since_check_in) as days_since_check_in
    from {{ ref('fct_key_result_daily') }}
    -- Exclude the days after the closing check-in, but not its own day.
    where not is_closed or check_in_count > 0
    group by team_id, cycle_id, key_result_id, date_trunc('week', day::timestamp)::date
),

grouped as (
    select
        team_id,
        cycle_id,
        week_start,
        max(last_day) as last_day,
        count(*) as open_key_result_count,
        count(*) filter (where check_in_count > 0) as checked_in_key_result_count,
        sum(check_in_count)::bigint as check_in_count,
        count(*) filter (where days_since_check_in is null) as never_checked_in_key_result_count,
        count(*) filter (where days_since_check_in > {{ var('stale_after_days') }}) as stale_key_result_count,
        {{ exact_mean('days_since_check_in') }} as mean_days_since_check_in
    from weekly
    group by team_id, cycle_id, week_start
)

select
    grouped.team_id,
    grouped.cycle_id,
    grouped.week_start,
    grouped.last_day,
    coalesce(named.organisation_id, cycle.organisation_id) as organisation_id,
    coalesce(organisation.name, team.organisation_id, cycle.organisation_id) as organisation,
    team.name as team_name,
    {{ team_label('grouped.team_id', 'team.name', 'named') }} as team_label,
    cycle.name as cycle_name,
    grouped.open_key_result_count,
    grouped.checked_in_key_result_count,
    {{ share('grouped.checked_in_key_result_count', 'grouped.open_key_result_count') }} as check_in_coverage_ratio,
    grouped.check_in_count,
    grouped.never_checked_in_key_result_count,
    grouped.stale_key_result_count,
    grouped.mean_days_since_check_in
from grouped
inner join {{ ref('int_cycle') }} as cycle on grouped.cycle_id = cycle.cycle_id
-- The team's name at the end of the last day.
left join {{ ref('int_team_version') }} as team
    on grouped.team_id = team.team_id
    and (grouped.last_day + 1)::timestamp at time zone 'UTC' > team.holds_from
    and (grouped.last_day + 1)::timestamp at time zone 'UTC' <= team.holds_to
left join {{ ref('int_team') }} as named on grouped.team_id = named.team_id
left join {{ ref('int_organisation_version') }} as organisation
    on coalesce(team.organisation_id, cycle.organisation_id) = organisation.organisation_id
    and organisation.is_current
