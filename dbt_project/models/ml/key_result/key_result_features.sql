{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

{#- The lengths, in days, of the windows over which recent pace is measured. -#}
{% set windows = [7, 14, 28] %}

with logarithmic as (
    select
        *,
        {{ signed_log('(' ~ var('achieved_score') ~ ' - progress_ratio) / remaining_days * cycle_days') }}
            as log_required_pace,
        {{ signed_log('pace') }} as log_pace
        {%- for days in windows %},
        {{ signed_log('pace_' ~ days ~ 'd') }} as log_pace_{{ days }}d
        {%- endfor %}
    from {{ ref('int_key_result_pace') }}
)

select
    features.key_result_id,
    features.as_of,
    features.as_of_kind,
    features.known_at,
    key_result.organisation,
    features.team_id,
    features.cycle_id,
    features.cycle_name,
    features.cycle_start,
    features.cycle_end,
    features.baseline,
    features.target,
    features.value,
    features.check_ins,
    features.progress_ratio,
    {{ elapsed_ratio(utc_date('features.as_of'), 'features.cycle_start', 'features.cycle_end') }} as elapsed_ratio,
    greatest(features.cycle_days - features.as_of_day, 0.0) as days_remaining,
    greatest(features.as_of_day - features.last_day, 0.0) as days_since_check_in,
    features.remaining_days / features.cycle_days as remaining_ratio,
    features.days_between_check_ins / 7.0 as weeks_between_check_ins,
    features.confidence,
    features.log_required_pace
    {%- for days in windows %},
    features.log_pace_{{ days }}d - features.log_required_pace as log_pace_ratio_{{ days }}d
    {%- endfor %},
    features.log_pace - features.log_required_pace as log_pace_ratio_cycle,
    features.log_pace_7d + {{ var('trend_damping') }} * (features.log_pace_7d - features.log_pace)
    - features.log_required_pace as log_pace_ratio_trend,
    noise.noise_ratio,
    noise.reversion_ratio,
    season.season_ratio,
    peers.peer_drift
from logarithmic as features
inner join {{ ref('int_key_result') }} as key_result using (key_result_id)
inner join {{ ref('int_key_result_noise') }} as noise using (key_result_id, as_of)
inner join {{ ref('int_key_result_season') }} as season using (key_result_id, as_of)
inner join {{ ref('int_key_result_peers') }} as peers using (key_result_id, as_of)
