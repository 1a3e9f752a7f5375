select
    check_in_id,
    version_number,
    key_result_id,
    user_id,
    checked_in_at,
    value,
    confidence,
    note,
    is_final,
    recorded_at,
    is_recorded_at_assumed,
    superseded_at,
    is_current
from {{ ref('int_check_in_version') }}
