select
    version.cycle_id,
    version.version_number,
    version.name,
    version.organisation_id,
    version.starts_on as cycle_start,
    version.ends_on as cycle_end,
    version.valid_from,
    version.valid_to,
    version.recorded_at,
    version.is_recorded_at_assumed,
    version.is_current,
    cycle.closed_at
from {{ ref('int_cycle_version') }} as version
left join {{ ref('int_cycle') }} as cycle on version.is_current and version.cycle_id = cycle.cycle_id
