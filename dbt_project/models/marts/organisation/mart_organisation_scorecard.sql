with grouped as (
    select
        organisation_id,
        cycle_id,
        max(organisation) as organisation,
        max(cycle_name) as cycle_name,
        max(cycle_start) as cycle_start,
        max(cycle_end) as cycle_end,
        count(distinct team_id) as team_count,
        {{ scorecard_figures() }}
    from {{ ref('mart_okr_scorecard') }}
    where not is_archived
    group by organisation_id, cycle_id
)

select
    organisation_id,
    cycle_id,
    organisation,
    cycle_name,
    cycle_start,
    cycle_end,
    team_count,
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
    score_to_date_ratio
from grouped
