{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

{#- Days over which recent pace is measured. -#}
{% set windows = [7, 14, 28] %}

{%- set moments = ref('int_key_result_moment') %}

-- The trajectory as it was known, by days since the cycle's start: the baseline at day 0, then every check-in.
-- Of a check-in the version counts that was known then, not a correction that came later. What was checked in on in a
-- cycle that the key result had left by then is that cycle's.
with point as (
    select
        moment.key_result_id,
        moment.as_of,
        greatest({{ days_between('moment.starts_at', 'check_in.checked_in_at') }}, 0.0) as day,
        check_in.recorded_at,
        check_in.value,
        check_in.confidence,
        1 as check_ins
    from {{ moments }} as moment
    inner join {{ ref('int_check_in_version') }} as check_in
        on moment.key_result_id = check_in.key_result_id
        and moment.as_of >= check_in.checked_in_at
        and moment.known_at >= check_in.recorded_at
        and (check_in.superseded_at is null or moment.known_at < check_in.superseded_at)
    where
        not check_in.is_final
        and not exists (
            select from {{ ref('int_key_result_cycle') }} as left_cycle
            where
                left_cycle.key_result_id = moment.key_result_id
                and left_cycle.cycle_id <> moment.cycle_id
                and left_cycle.ended_at <= moment.as_of
                and left_cycle.ended_at > check_in.checked_in_at
        )
    union all
    select key_result_id, as_of, 0.0, '-infinity', baseline, null, 0
    from {{ moments }} as moment
),

segment as (
    select
        *,
        lead(day) over by_time as next_day,
        lead(value) over by_time as next_value,
        row_number() over by_time as place,
        count(*) over (partition by key_result_id, as_of) as points,
        max(day) over (partition by key_result_id, as_of) as last_day
    from point
    window by_time as (partition by key_result_id, as_of order by day, check_ins, recorded_at)
),

-- Values between two points lie on the line between them.
trajectory as (
    select
        key_result_id,
        as_of,
        max(last_day) as last_day,
        coalesce(max(day) filter (where place = points - 1), 0.0) as previous_day,
        sum(check_ins) as check_ins,
        max(value) filter (where place = points) as value,
        (max(array[place, confidence]) filter (where confidence is not null))[2] as confidence
        {%- for days in windows %},
        max(value + (next_value - value) * (greatest(last_day - {{ days }}, 0.0) - day) / (next_day - day))
            filter (where greatest(last_day - {{ days }}, 0.0) >= day and greatest(last_day - {{ days }}, 0.0) < next_day)
            as value_{{ days }}d
        {%- endfor %}
    from segment
    group by key_result_id, as_of
),

-- A pace counts whole ways from baseline to target by cycle; less than a day says too little, and counts as one.
measured as (
    select
        moment.*,
        trajectory.value,
        trajectory.confidence,
        trajectory.check_ins,
        trajectory.last_day,
        trajectory.last_day - trajectory.previous_day as days_between_check_ins,
        {{ progress_ratio('trajectory.value', 'moment.baseline', 'moment.target') }} as progress_ratio,
        greatest(moment.cycle_days - trajectory.last_day, {{ var('shortest_remaining_days') }}) as remaining_days,
        (trajectory.value - moment.baseline) / (moment.target - moment.baseline)
        / greatest(trajectory.last_day, 1.0) * moment.cycle_days as pace
        {%- for days in windows %},
        coalesce(trajectory.value - trajectory.value_{{ days }}d, 0.0) / (moment.target - moment.baseline)
        / greatest(least(trajectory.last_day, {{ days }}), 1.0) * moment.cycle_days as pace_{{ days }}d
        {%- endfor %}
    from {{ moments }} as moment
    inner join trajectory using (key_result_id, as_of)
    where moment.as_of_kind = 'current' or trajectory.last_day >= moment.as_of_day
),

logarithmic as (
    select
        *,
        {{ signed_log('(' ~ var('achieved_score') ~ ' - progress_ratio) / remaining_days * cycle_days') }}
            as log_required_pace,
        {{ signed_log('pace') }} as log_pace
        {%- for days in windows %},
        {{ signed_log('pace_' ~ days ~ 'd') }} as log_pace_{{ days }}d
        {%- endfor %}
    from measured
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
    features.check_ins::integer as check_ins,
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
    - features.log_required_pace as log_pace_ratio_trend
from logarithmic as features
inner join {{ ref('int_key_result') }} as key_result using (key_result_id)
