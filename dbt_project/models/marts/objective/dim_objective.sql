select
    objective_id,
    version_number,
    title,
    team_id,
    cycle_id,
    parent_objective_id,
    owner_user_id,
    valid_from,
    valid_to,
    recorded_at,
    is_recorded_at_assumed,
    is_current
from {{ ref('int_objective_version') }}
