select
    key_result_id,
    version_number,
    objective_id,
    title,
    unit,
    baseline,
    target,
    direction,
    weight,
    owner_user_id,
    valid_from,
    valid_to,
    recorded_at,
    is_recorded_at_assumed,
    is_current
from {{ ref('int_key_result_version') }}
