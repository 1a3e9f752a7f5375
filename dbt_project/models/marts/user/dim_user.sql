select
    version.user_id,
    version.version_number,
    version.name,
    version.email,
    version.team_id,
    team.organisation_id,
    version.valid_from,
    version.valid_to,
    version.recorded_at,
    version.is_recorded_at_assumed,
    version.is_current,
    ending.ended_at as deactivated_at
from {{ ref('int_user_version') }} as version
left join {{ ref('int_team') }} as team on version.team_id = team.team_id
left join {{ ref('int_ending') }} as ending
    on version.is_current and version.user_id = ending.id and ending.entity_type = 'user' and ending.revived_at is null
