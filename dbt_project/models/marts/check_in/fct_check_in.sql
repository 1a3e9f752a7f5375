{{ config(indexes=[{'columns': ['key_result_id', 'checked_in_at']}]) }}

with placed as (
    select
        check_in.*,
        {{ utc_date('check_in.checked_in_at') }} as checked_in_on,
        key_result.key_result_id is not null as is_key_result_known,
        key_result.team_id,
        key_result.cycle_id,
        key_result.cycle_start,
        key_result.cycle_end
    from {{ ref('int_check_in') }} as check_in
    left join {{ ref('int_key_result') }} as key_result using (key_result_id)
)

select
    check_in_id,
    key_result_id,
    user_id,
    team_id,
    cycle_id,
    checked_in_at,
    checked_in_on,
    recorded_at,
    extract(epoch from recorded_at - checked_in_at)::double precision as recording_delay_s,
    value,
    confidence,
    note,
    is_final,
    progress_ratio,
    elapsed_ratio,
    {{ pace_ratio('progress_ratio', 'elapsed_ratio') }} as pace_ratio,
    version_number - 1 as correction_count,
    is_key_result_known,
    coalesce(checked_in_on between cycle_start and cycle_end, false) as is_in_cycle,
    kafka_partition,
    kafka_offset
from placed
