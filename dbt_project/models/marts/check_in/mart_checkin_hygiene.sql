-- Per key result and week: its check-ins, and its state on the last day of the week that the data holds.
with weekly as (
    select
        team_id,
        cycle_id,
        key_result_id,
        date_trunc('week', day::timestamp)::date as week_start,
        max(day) as last_day,
        sum(check_in_count) as check_in_count,
        -- The latest check-in of the week's last day is the latest of all its days.
        max(day) - max(day - days_since_check_in) as days_since_check_in
    from {{ ref('fct_key_result_daily') }}
    -- The day of the closing check-in still counts, the days after it do not.
    where not is_closed or check_in_count > 0
    group by team_id, cycle_id, key_result_id, date_trunc('week', day::timestamp)::date
),

named as (
    select distinct on (team_id, cycle_id) team_id, cycle_id, team_name, cycle_name, organisation
    from {{ ref('mart_okr_scorecard') }}
    order by team_id, cycle_id, team_name, cycle_name, organisation
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
    named.organisation,
    named.team_name,
    named.cycle_name,
    grouped.open_key_result_count,
    grouped.checked_in_key_result_count,
    {{ share('grouped.checked_in_key_result_count', 'grouped.open_key_result_count') }} as check_in_coverage_ratio,
    grouped.check_in_count,
    grouped.never_checked_in_key_result_count,
    grouped.stale_key_result_count,
    grouped.mean_days_since_check_in
from grouped
left join named
    on grouped.team_id is not distinct from named.team_id and grouped.cycle_id is not distinct from named.cycle_id
