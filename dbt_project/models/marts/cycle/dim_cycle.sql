select
    cycle_id,
    version_number,
    name,
    organisation_id,
    starts_on as cycle_start,
    ends_on as cycle_end,
    valid_from,
    valid_to,
    recorded_at,
    is_recorded_at_assumed,
    is_current
from {{ ref('int_cycle_version') }}
