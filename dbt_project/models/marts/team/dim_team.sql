with organisation as (
    select organisation_id, name as organisation_name from {{ ref('int_organisation_version') }} where is_current
)

select
    version.team_id,
    version.version_number,
    version.name,
    {{ team_label('version.team_id', 'version.name', 'team') }} as team_label,
    version.organisation_id,
    organisation.organisation_name,
    version.valid_from,
    version.valid_to,
    version.recorded_at,
    version.is_recorded_at_assumed,
    version.is_current,
    case when version.is_current then team.archived_at end as archived_at,
    case when version.is_current then team.successor_team_id end as successor_team_id
from {{ ref('int_team_version') }} as version
left join organisation using (organisation_id)
left join {{ ref('int_team') }} as team on version.team_id = team.team_id
