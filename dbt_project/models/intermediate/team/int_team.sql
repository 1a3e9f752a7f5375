{{ config(indexes=[{'columns': ['team_id'], 'unique': true}]) }}

with current_team as (
    select
        team.team_id,
        team.name,
        team.organisation_id,
        coalesce(organisation.name, team.organisation_id) as organisation,
        ending.ended_at as archived_at,
        ending.successor_id as successor_team_id,
        count(*) over (partition by team.name) as namesakes,
        count(*) over (
            partition by team.name, coalesce(organisation.name, team.organisation_id)
        ) as namesakes_in_organisation
    from {{ ref('int_team_version') }} as team
    left join {{ ref('int_organisation_version') }} as organisation
        on team.organisation_id = organisation.organisation_id and organisation.is_current
    left join {{ ref('int_ending') }} as ending
        on team.team_id = ending.id and ending.entity_type = 'team' and ending.revived_at is null
    where team.is_current
)

select
    team_id,
    name,
    organisation_id,
    organisation,
    archived_at,
    successor_team_id,
    case
        when namesakes = 1 then name
        when namesakes_in_organisation = 1 then name || ' (' || organisation || ')'
        else name || ' (' || team_id || ')'
    end as label
from current_team
