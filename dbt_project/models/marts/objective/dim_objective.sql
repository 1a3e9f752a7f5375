select
    version.objective_id,
    version.version_number,
    version.title,
    version.team_id,
    team.organisation_id,
    version.cycle_id,
    version.parent_objective_id,
    version.owner_user_id,
    version.valid_from,
    version.valid_to,
    version.recorded_at,
    version.is_recorded_at_assumed,
    version.is_current,
    ending.ended_at as archived_at,
    ending.reason as archived_note
from {{ ref('int_objective_version') }} as version
left join {{ ref('int_team') }} as team on version.team_id = team.team_id
left join {{ ref('int_ending') }} as ending
    on version.is_current and version.objective_id = ending.id
    and ending.entity_type = 'objective' and ending.revived_at is null
