select
    version.check_in_id,
    version.version_number,
    version.key_result_id,
    check_in.organisation_id,
    version.user_id,
    version.checked_in_at,
    version.value,
    version.confidence,
    version.note,
    version.is_final,
    version.recorded_at,
    version.is_recorded_at_assumed,
    version.superseded_at,
    version.is_current
from {{ ref('int_check_in_version') }} as version
left join {{ ref('fct_check_in') }} as check_in on version.check_in_id = check_in.check_in_id
