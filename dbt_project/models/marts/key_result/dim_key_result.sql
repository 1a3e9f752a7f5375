select
    version.key_result_id,
    version.version_number,
    version.objective_id,
    team.organisation_id,
    version.title,
    version.unit,
    version.baseline,
    version.target,
    version.direction,
    version.weight,
    version.owner_user_id,
    version.valid_from,
    version.valid_to,
    version.recorded_at,
    version.is_recorded_at_assumed,
    version.is_current,
    ending.ended_at as archived_at,
    ending.reason as archived_note
from {{ ref('int_key_result_version') }} as version
left join {{ ref('int_objective_version') }} as objective
    on version.objective_id = objective.objective_id and objective.is_current
left join {{ ref('int_team') }} as team on objective.team_id = team.team_id
left join {{ ref('int_ending') }} as ending
    on version.is_current and version.key_result_id = ending.id
    and ending.entity_type = 'key_result' and ending.revived_at is null
