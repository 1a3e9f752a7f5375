{{ config(indexes=[
    {'columns': ['check_in_id'], 'unique': true},
    {'columns': ['key_result_id', 'checked_in_at']},
]) }}

with latest as (
    select * from {{ ref('int_check_in_version') }} where is_current
),

-- Progress is measured against the definition of the day; before the first one, against the first.
measured as (
    select
        latest.*,
        {{ progress_ratio('latest.value', 'definition.baseline', 'definition.target') }} as progress_ratio
    from latest
    left join {{ ref('int_key_result_version') }} as definition
        on latest.key_result_id = definition.key_result_id
        and (definition.version_number = 1 or latest.checked_in_at >= definition.valid_from)
        and (definition.is_current or latest.checked_in_at < definition.valid_to)
)

select
    measured.check_in_id,
    measured.key_result_id,
    measured.user_id,
    measured.checked_in_at,
    measured.recorded_at,
    measured.value,
    measured.confidence,
    measured.note,
    measured.is_final,
    measured.progress_ratio,
    {{ elapsed_ratio(utc_date('measured.checked_in_at'), 'key_result.cycle_start', 'key_result.cycle_end') }}
        as elapsed_ratio,
    measured.version_number,
    measured.kafka_partition,
    measured.kafka_offset
from measured
left join {{ ref('int_key_result') }} as key_result using (key_result_id)
