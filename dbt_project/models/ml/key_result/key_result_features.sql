{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

{#- Days over which recent pace is measured. -#}
{% set windows = [7, 14, 28] %}

with key_result as (
    select
        key_result.key_result_id,
        key_result.organisation,
        key_result.final_at,
        first_version.recorded_at
    from {{ ref('int_key_result') }} as key_result
    inner join {{ ref('int_key_result_version') }} as first_version
        on key_result.key_result_id = first_version.key_result_id and first_version.version_number = 1
),

known_key_result as (
    {{ known_versions(ref('int_key_result_version'), 'key_result_id', ['objective_id']) }}
),

known_objective as (
    {{ known_versions(ref('int_objective_version'), 'objective_id', ['team_id', 'cycle_id']) }}
),

known_cycle as (
    {{ known_versions(ref('int_cycle_version'), 'cycle_id', ['name', 'starts_on', 'ends_on']) }}
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

heard as (
    select
        check_in.key_result_id,
        check_in.checked_in_at as as_of,
        'check_in' as as_of_kind,
        greatest(check_in.checked_in_at, min(check_in.recorded_at), min(key_result.recorded_at)) as heard_at
    from check_in
    inner join key_result using (key_result_id)
    where key_result.final_at is null or check_in.checked_in_at < key_result.final_at
    group by check_in.key_result_id, check_in.checked_in_at
    union all
    select key_result.key_result_id, log.data_as_of, 'current', log.data_as_of
    from key_result
    cross join {{ ref('int_data_as_of') }} as log
    where key_result.final_at is null
),

-- The cycle as it was known then: an objective that moves later, or a cycle with other days, changes no earlier row.
-- A baseline is often the outcome of the cycle before: nobody may use it before the cycle's second day.
placed as (
    select
        heard.*,
        objective.team_id,
        objective.cycle_id,
        cycle.name as cycle_name,
        cycle.starts_on as cycle_start,
        cycle.ends_on as cycle_end,
        cycle.starts_on::timestamp at time zone 'UTC' as starts_at,
        (cycle.ends_on + 1)::timestamp at time zone 'UTC' as ends_at,
        greatest(
            (cycle.starts_on + 1)::timestamp at time zone 'UTC',
            key_result.recorded_at, objective.recorded_at, cycle.recorded_at
        ) as usable_from
    from heard
    inner join key_result using (key_result_id)
    inner join known_key_result
        on heard.key_result_id = known_key_result.key_result_id
        and heard.heard_at >= known_key_result.known_from and heard.heard_at < known_key_result.known_to
    inner join known_objective as objective
        on known_key_result.objective_id = objective.objective_id
        and heard.heard_at >= objective.known_from and heard.heard_at < objective.known_to
    inner join known_cycle as cycle
        on objective.cycle_id = cycle.cycle_id
        and heard.heard_at >= cycle.known_from and heard.heard_at < cycle.known_to
    where cycle.starts_on is not null and cycle.ends_on is not null
),

moment as (
    select placed.*, greatest(placed.heard_at, placed.usable_from) as known_at
    from placed
    inner join {{ ref('int_data_as_of') }} as log on greatest(placed.heard_at, placed.usable_from) <= log.data_as_of
),

-- The target that held: of the definitions known by then the newest, and before all of them the first.
-- A check-in at the very end of the log stands for the current row.
defined as (
    select distinct on (moment.key_result_id, moment.as_of)
        moment.*,
        {{ days_between('moment.starts_at', 'moment.as_of') }} as as_of_day,
        {{ days_between('moment.starts_at', 'moment.ends_at') }} as cycle_days,
        definition.baseline,
        definition.target
    from moment
    inner join {{ ref('int_key_result_version') }} as definition
        on moment.key_result_id = definition.key_result_id
        and definition.recorded_at <= moment.known_at
        and (definition.version_number = 1 or definition.valid_from <= greatest(moment.as_of, moment.usable_from))
    order by moment.key_result_id, moment.as_of, moment.as_of_kind, definition.version_number desc
),

-- The trajectory as it was known, by days since the cycle's start: the baseline at day 0, then every check-in.
point as (
    select
        defined.key_result_id,
        defined.as_of,
        greatest({{ days_between('defined.starts_at', 'check_in.checked_in_at') }}, 0.0) as day,
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
    select key_result_id, as_of, 0.0, '-infinity', baseline, null, 0
    from defined
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
        defined.*,
        trajectory.value,
        trajectory.confidence,
        trajectory.check_ins,
        trajectory.last_day,
        trajectory.last_day - trajectory.previous_day as days_between_check_ins,
        {{ progress_ratio('trajectory.value', 'defined.baseline', 'defined.target') }} as progress_ratio,
        greatest(defined.cycle_days - trajectory.last_day, {{ var('shortest_remaining_days') }}) as remaining_days,
        (trajectory.value - defined.baseline) / (defined.target - defined.baseline)
        / greatest(trajectory.last_day, 1.0) * defined.cycle_days as pace
        {%- for days in windows %},
        coalesce(trajectory.value - trajectory.value_{{ days }}d, 0.0) / (defined.target - defined.baseline)
        / greatest(least(trajectory.last_day, {{ days }}), 1.0) * defined.cycle_days as pace_{{ days }}d
        {%- endfor %}
    from defined
    inner join trajectory using (key_result_id, as_of)
    where defined.as_of_kind = 'current' or trajectory.last_day >= defined.as_of_day
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
inner join key_result using (key_result_id)
