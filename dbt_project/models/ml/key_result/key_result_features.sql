{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

{#- Days over which recent pace is measured. -#}
{% set windows = [7, 14, 28] %}

with key_result as (
    select
        key_result.key_result_id,
        key_result.organisation,
        key_result.team_id,
        key_result.cycle_id,
        key_result.cycle_name,
        key_result.cycle_start,
        key_result.cycle_end,
        key_result.final_at,
        key_result.cycle_start::timestamp at time zone 'UTC' as starts_at,
        (key_result.cycle_end + 1)::timestamp at time zone 'UTC' as ends_at,
        -- A baseline is often the outcome of the cycle before: nobody may use it before the cycle's second day.
        greatest((key_result.cycle_start + 1)::timestamp at time zone 'UTC', first_version.recorded_at) as usable_from
    from {{ ref('int_key_result') }} as key_result
    inner join {{ ref('int_key_result_version') }} as first_version
        on key_result.key_result_id = first_version.key_result_id and first_version.version_number = 1
    where key_result.cycle_start is not null and key_result.cycle_end is not null
),

-- Every version: what counts at a moment is the one that was known then, not a correction that came later.
check_in as (
    select
        key_result_id,
        checked_in_at,
        value,
        confidence,
        recorded_at,
        coalesce(superseded_at, 'infinity') as superseded_at
    from {{ ref('int_check_in_version') }}
    where not is_final
),

checked_in as (
    select
        check_in.key_result_id,
        check_in.checked_in_at as as_of,
        'check_in' as as_of_kind,
        greatest(check_in.checked_in_at, min(check_in.recorded_at), min(key_result.usable_from)) as known_at
    from check_in
    inner join key_result using (key_result_id)
    where key_result.final_at is null or check_in.checked_in_at < key_result.final_at
    group by check_in.key_result_id, check_in.checked_in_at
),

moment as (
    select checked_in.*
    from checked_in
    inner join {{ ref('int_data_as_of') }} as log on checked_in.known_at <= log.data_as_of
    union all
    select key_result.key_result_id, log.data_as_of, 'current', log.data_as_of
    from key_result
    inner join {{ ref('int_data_as_of') }} as log on key_result.usable_from <= log.data_as_of
    left join checked_in
        on key_result.key_result_id = checked_in.key_result_id
        and log.data_as_of = checked_in.as_of
        and log.data_as_of >= checked_in.known_at
    where key_result.final_at is null and checked_in.as_of is null
),

-- The target that held: of the definitions known by then the newest, and before all of them the first.
defined as (
    select distinct on (moment.key_result_id, moment.as_of)
        moment.*,
        key_result.starts_at,
        key_result.ends_at,
        definition.baseline,
        definition.target
    from moment
    inner join key_result using (key_result_id)
    inner join {{ ref('int_key_result_version') }} as definition
        on moment.key_result_id = definition.key_result_id
        and definition.recorded_at <= moment.known_at
        and (definition.version_number = 1 or definition.valid_from <= greatest(moment.as_of, key_result.usable_from))
    order by moment.key_result_id, moment.as_of, definition.version_number desc
),

-- The trajectory as it was known: the baseline at the cycle's start, then every check-in.
point as (
    select
        defined.key_result_id,
        defined.as_of,
        defined.starts_at,
        greatest(check_in.checked_in_at, defined.starts_at) as at,
        check_in.recorded_at,
        check_in.value,
        check_in.confidence,
        1 as check_ins
    from defined
    inner join check_in
        on defined.key_result_id = check_in.key_result_id
        and defined.as_of >= check_in.checked_in_at
        and defined.known_at >= check_in.recorded_at
        and defined.known_at < check_in.superseded_at
    union all
    select key_result_id, as_of, starts_at, starts_at, '-infinity', baseline, null, 0
    from defined
),

segment as (
    select
        *,
        lead(at) over by_time as next_at,
        lead(value) over by_time as next_value,
        count(*) over (partition by key_result_id, as_of) as points,
        row_number() over by_time as place,
        max(at) over (partition by key_result_id, as_of) as last_at
    from point
    window by_time as (partition by key_result_id, as_of order by at, check_ins, recorded_at)
),

-- Values between two points lie on the line between them.
trajectory as (
    select
        key_result_id,
        as_of,
        max(last_at) as last_at,
        sum(check_ins) as check_ins,
        max(value) filter (where place = points) as value,
        coalesce(max(at) filter (where place = points - 1), min(at)) as previous_at,
        (array_agg(confidence order by place desc) filter (where confidence is not null))[1] as confidence
        {%- for days in windows %},
        max(greatest(last_at - interval '{{ days }} days', starts_at)) as from_{{ days }}d,
        max(
            value + (next_value - value)
            * extract(epoch from greatest(last_at - interval '{{ days }} days', starts_at) - at)::double precision
            / extract(epoch from next_at - at)::double precision
        ) filter (
            where at <= greatest(last_at - interval '{{ days }} days', starts_at)
            and next_at > greatest(last_at - interval '{{ days }} days', starts_at)
        ) as value_{{ days }}d
        {%- endfor %}
    from segment
    group by key_result_id, as_of
),

measured as (
    select
        defined.*,
        trajectory.value,
        trajectory.confidence,
        trajectory.check_ins,
        trajectory.last_at,
        {{ progress_ratio('trajectory.value', 'defined.baseline', 'defined.target') }} as progress_ratio,
        {{ days_between('trajectory.previous_at', 'trajectory.last_at') }} as days_between_check_ins,
        {{ days_between('trajectory.last_at', 'defined.as_of') }} as days_since_check_in,
        greatest({{ days_between('trajectory.last_at', 'defined.ends_at') }}, {{ var('shortest_remaining_days') }})
            as remaining_days,
        {{ days_between('defined.starts_at', 'defined.ends_at') }} as cycle_days,
        -- Paces are of the last check-in, in whole ways from baseline to target by cycle.
        (trajectory.value - defined.baseline) / (defined.target - defined.baseline)
        / greatest({{ days_between('defined.starts_at', 'trajectory.last_at') }}, 1.0) as progress_by_day
        {%- for days in windows %},
        coalesce(trajectory.value - trajectory.value_{{ days }}d, 0.0) / (defined.target - defined.baseline)
        / greatest({{ days_between('trajectory.from_' ~ days ~ 'd', 'trajectory.last_at') }}, 1.0)
            as progress_by_day_{{ days }}d
        {%- endfor %}
    from defined
    inner join trajectory using (key_result_id, as_of)
),

logarithmic as (
    select
        *,
        {{ signed_log('(' ~ var('achieved_score') ~ ' - progress_ratio) / remaining_days * cycle_days') }}
            as log_required_pace,
        {{ signed_log('progress_by_day * cycle_days') }} as log_pace
        {%- for days in windows %},
        {{ signed_log('progress_by_day_' ~ days ~ 'd * cycle_days') }} as log_pace_{{ days }}d
        {%- endfor %}
    from measured
)

select
    features.key_result_id,
    features.as_of,
    features.as_of_kind,
    features.known_at,
    key_result.organisation,
    key_result.team_id,
    key_result.cycle_id,
    key_result.cycle_name,
    key_result.cycle_start,
    key_result.cycle_end,
    features.baseline,
    features.target,
    features.value,
    features.check_ins::integer as check_ins,
    features.progress_ratio,
    {{ elapsed_ratio(utc_date('features.as_of'), 'key_result.cycle_start', 'key_result.cycle_end') }} as elapsed_ratio,
    greatest({{ days_between('features.as_of', 'features.ends_at') }}, 0.0) as days_remaining,
    features.days_since_check_in,
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
inner join key_result using (key_result_id)
where features.as_of_kind = 'current' or features.last_at >= features.as_of
