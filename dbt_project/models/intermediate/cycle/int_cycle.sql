{{ config(indexes=[{'columns': ['cycle_id'], 'unique': true}]) }}

select
    version.cycle_id,
    version.organisation_id,
    version.name,
    version.starts_on as cycle_start,
    version.ends_on as cycle_end,
    closing.ended_at as closed_at,
    closing.recorded_at as closing_recorded_at,
    least((version.ends_on + 1)::timestamp at time zone 'UTC', closing.ended_at) as ended_at
from {{ ref('int_cycle_version') }} as version
left join {{ ref('int_ending') }} as closing
    on version.cycle_id = closing.id and closing.entity_type = 'cycle' and closing.revived_at is null
where version.is_current
