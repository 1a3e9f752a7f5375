with organisation as (
    select organisation_id, name as organisation_name from {{ ref('int_organisation_version') }} where is_current
)

select
    team.team_id,
    team.version_number,
    team.name,
    team.organisation_id,
    organisation.organisation_name,
    team.valid_from,
    team.valid_to,
    team.recorded_at,
    team.is_recorded_at_assumed,
    team.is_current
from {{ ref('int_team_version') }} as team
left join organisation using (organisation_id)
