{{ config(indexes=[{'columns': ['key_result_id', 'checked_in_at']}]) }}

with dated as (
    select *, {{ utc_date('checked_in_at') }} as checked_in_on from {{ ref('int_check_in') }}
)

select
    check_in_id,
    key_result_id,
    user_id,
    dated.team_id,
    team.organisation_id,
    placed_cycle_id as cycle_id,
    cycle_id as counted_cycle_id,
    checked_in_at,
    checked_in_on,
    recorded_at,
    extract(epoch from recorded_at - checked_in_at)::double precision as recording_delay_s,
    value,
    confidence,
    note,
    is_final,
    is_closing,
    progress_ratio,
    elapsed_ratio,
    {{ pace_ratio('progress_ratio', 'elapsed_ratio') }} as pace_ratio,
    version_number - 1 as correction_count,
    is_key_result_known,
    coalesce(checked_in_on between cycle_start and cycle_end, false) as is_in_cycle,
    logged_at,
    kafka_partition,
    kafka_offset
from dated
left join {{ ref('int_team') }} as team on dated.team_id = team.team_id
