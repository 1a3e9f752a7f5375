with confidence as (
    select key_result_id, counted_cycle_id as cycle_id, {{ exact_mean('confidence') }} as mean_confidence
    from {{ ref('fct_check_in') }}
    where not is_final and confidence is not null
    group by key_result_id, counted_cycle_id
),

key_result as (
    select
        scorecard.*,
        scorecard.is_closed and confidence.mean_confidence is not null as is_calibrating,
        confidence.mean_confidence
    from {{ ref('mart_okr_scorecard') }} as scorecard
    left join confidence
        on scorecard.key_result_id = confidence.key_result_id and scorecard.cycle_id = confidence.cycle_id
    where not scorecard.is_archived
),

grouped as (
    select
        team_id,
        cycle_id,
        max(organisation_id) as organisation_id,
        max(organisation) as organisation,
        max(cycle_name) as cycle_name,
        max(cycle_start) as cycle_start,
        max(cycle_end) as cycle_end,
        {{ scorecard_figures() }},
        count(*) filter (where is_calibrating) as calibrating_count,
        {{ exact_mean('case when is_calibrating then mean_confidence - is_achieved::integer end') }} as overconfidence
    from key_result
    group by team_id, cycle_id
)

select
    grouped.team_id,
    grouped.cycle_id,
    team.name as team_name,
    {{ team_label('grouped.team_id', 'team.name', 'named') }} as team_label,
    grouped.organisation_id,
    grouped.organisation,
    cycle_name,
    grouped.cycle_start,
    grouped.cycle_end,
    key_result_count,
    closed_count,
    achieved_count,
    missed_count,
    on_track_count,
    at_risk_count,
    off_track_count,
    no_check_in_count,
    awaiting_close_count,
    not_started_count,
    no_cycle_count,
    attainment_ratio,
    {{ achieved_share() }} as achieved_ratio,
    {{ on_track_share() }} as on_track_ratio,
    score_to_date_ratio,
    case when calibrating_count >= {{ var('min_closed_key_results') }} then calibrating_count end
        as calibration_key_result_count,
    case when calibrating_count >= {{ var('min_closed_key_results') }} then overconfidence end
        as overconfidence_ratio
from grouped
cross join {{ ref('int_data_as_of') }}
left join {{ ref('int_cycle') }} as cycle on grouped.cycle_id = cycle.cycle_id
-- The team's name at the end of the cycle, or its current name while the cycle is running.
left join {{ ref('int_team_version') }} as team
    on grouped.team_id = team.team_id
    and case when cycle.ended_at <= data_as_of then cycle.ended_at else 'infinity' end > team.holds_from
    and case when cycle.ended_at <= data_as_of then cycle.ended_at else 'infinity' end <= team.holds_to
left join {{ ref('int_team') }} as named on grouped.team_id = named.team_id
