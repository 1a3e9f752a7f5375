{{ config(indexes=[{'columns': ['key_result_id'], 'unique': true}]) }}

with latest as (
    select * from {{ ref('int_key_result_version') }} where is_current
),

first_defined as (
    select key_result_id, valid_from as defined_at
    from {{ ref('int_key_result_version') }}
    where version_number = 1
),

-- The latest closing check-in counts: a key result may be closed again with a better figure.
final as (
    select distinct on (key_result_id) key_result_id, value as final_value, checked_in_at as final_at
    from {{ ref('int_check_in_version') }}
    where is_current and is_final
    order by key_result_id, checked_in_at desc, recorded_at desc, check_in_id desc
),

placed as (
    select
        latest.key_result_id,
        coalesce(organisation.name, team.organisation_id, cycle.organisation_id) as organisation,
        objective.team_id,
        team.name as team_name,
        latest.owner_user_id,
        latest.objective_id,
        objective.title as objective_title,
        objective.cycle_id,
        cycle.name as cycle_name,
        cycle.starts_on as cycle_start,
        cycle.ends_on as cycle_end,
        latest.title,
        latest.unit,
        latest.baseline,
        latest.target,
        latest.direction,
        latest.weight,
        first_defined.defined_at,
        latest.recorded_at,
        final.final_value,
        final.final_at,
        {{ progress_ratio('final.final_value', 'latest.baseline', 'latest.target') }} as final_progress_ratio
    from latest
    inner join first_defined using (key_result_id)
    left join final using (key_result_id)
    left join {{ ref('int_objective_version') }} as objective
        on latest.objective_id = objective.objective_id and objective.is_current
    left join {{ ref('int_team_version') }} as team on objective.team_id = team.team_id and team.is_current
    left join {{ ref('int_cycle_version') }} as cycle on objective.cycle_id = cycle.cycle_id and cycle.is_current
    left join {{ ref('int_organisation_version') }} as organisation
        on coalesce(team.organisation_id, cycle.organisation_id) = organisation.organisation_id
        and organisation.is_current
),

scored as (
    select *, {{ score_ratio('final_progress_ratio') }} as final_score from placed
)

select
    *,
    {{ at_least('final_score', var('achieved_score')) }} as is_achieved,
    final_at is not null as is_closed
from scored
