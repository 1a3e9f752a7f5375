{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

{#- The lengths, in days, of the windows over which recent pace is measured. -#}
{% set windows = [7, 14, 28] %}

{%- set by_time = 'day, checked_in_at, recorded_at, ' ~ log_order() -%}

-- Grain: one trajectory. A trajectory is a sequence of check-ins of one key result, which several rows of
-- int_key_result_as_of can share: each of them uses the check-ins up to its own as_of.
with path as (
    select
        trajectory_number,
        key_result_id,
        starts_at,
        counts_from,
        max(as_of) as last_as_of,
        max(known_at) as known_at
    from {{ ref('int_key_result_as_of') }}
    group by trajectory_number, key_result_id, starts_at, counts_from
),

-- The points of each trajectory: the baseline at day 0, then every check-in that is not final, in the version that
-- was current at known_at. `day` counts from the start of the cycle.
point as (
    select
        path.trajectory_number,
        check_in.checked_in_at,
        greatest({{ days_between('path.starts_at', 'check_in.checked_in_at') }}, 0.0) as day,
        check_in.recorded_at,
        {{ log_order('', 'check_in') }},
        check_in.value,
        check_in.confidence
    from path
    inner join {{ ref('int_check_in_version') }} as check_in
        on path.key_result_id = check_in.key_result_id
        and path.counts_from <= check_in.checked_in_at
        and path.last_as_of >= check_in.checked_in_at
        and path.known_at >= check_in.recorded_at
        and (check_in.superseded_at is null or path.known_at < check_in.superseded_at)
    where not check_in.is_final
    union all
    select trajectory_number, '-infinity', 0.0, null, null, null, null, null, null from path
),

-- `point_number` numbers the points of a trajectory. start_point_7d is the point at which the 7-day window of this
-- point starts: the last point at least 7 days earlier or, if there is none, the last point at day 0.
segment as (
    select
        *,
        row_number() over by_time as point_number,
        lag(day) over by_time as previous_day,
        lead(day) over by_time as next_day,
        lead(value) over by_time as next_value,
        {{ square('value - lag(value) over by_time') }} / greatest(day - lag(day) over by_time, {{ var('min_step_days') }})
            as squared_step
        {%- for days in windows %},
        greatest(
            count(*) over (
                partition by trajectory_number order by day range between unbounded preceding and {{ days }} preceding
            ),
            count(*) filter (where day = 0.0) over (partition by trajectory_number order by day)
        )::integer as start_point_{{ days }}d
        {%- endfor %}
    from point
    window by_time as (partition by trajectory_number order by {{ by_time }})
),

-- Pack all values that a row needs from its last point into one array, which `last_known` finds with a running maximum.
-- Arrays are compared by their first element, a number that increases over all points. After the ten values of the
-- first lines come four per window: the two points between which the window starts.
packed as (
    select
        trajectory_number,
        checked_in_at,
        array[
            row_number() over (order by trajectory_number, {{ by_time }}), point_number, day,
            coalesce(previous_day, 0.0), value,
            (max(array[point_number, confidence]) filter (where confidence is not null) over so_far)[2],
            nth_value(day, 2) over so_far, nth_value(value, 2) over so_far,
            sum((squared_step)::numeric) over so_far, sum((value)::numeric) over so_far
        ]
        {%- for days in windows %}
        || nth_value(array[day, value, next_day, next_value], start_point_{{ days }}d) over so_far
        {%- endfor %} as known
    from segment
    window so_far as (partition by trajectory_number order by {{ by_time }} rows unbounded preceding)
),

-- Each row of int_key_result_as_of gets the array of the last point up to its as_of.
last_known as (
    select key_result_id, as_of, max(known) over (order by trajectory_number, as_of) as known
    from (
        select key_result_id, as_of, trajectory_number, null::double precision[] as known
        from {{ ref('int_key_result_as_of') }}
        union all
        select null, checked_in_at, trajectory_number, known from packed
    ) as event
),

latest as (
    select
        moment.*,
        last_known.known[2] - 1 as check_ins,
        last_known.known[3] as last_day,
        last_known.known[4] as previous_day,
        coalesce(last_known.known[5], moment.baseline) as value,
        last_known.known[6] as confidence,
        last_known.known[7] as first_day,
        last_known.known[8] as first_value,
        coalesce(last_known.known[9], 0.0) as squared_steps_between,
        coalesce(last_known.known[10], 0.0) as sum_of_values
        {%- for days in windows %},
        {%- set first = 7 + 4 * loop.index %}
        last_known.known[{{ first }}] as day_before_{{ days }}d,
        coalesce(last_known.known[{{ first + 1 }}], moment.baseline) as value_before_{{ days }}d,
        last_known.known[{{ first + 2 }}] as day_after_{{ days }}d,
        last_known.known[{{ first + 3 }}] as value_after_{{ days }}d
        {%- endfor %}
    from {{ ref('int_key_result_as_of') }} as moment
    inner join last_known using (key_result_id, as_of)
    where moment.as_of_kind = 'current' or last_known.known[3] >= moment.as_of_day
),

-- The value at the start of each window, interpolated linearly between the two points around it.
with_window_starts as (
    select
        *
        {%- for days in windows %},
        case
            when last_day > 0.0 then
                value_before_{{ days }}d + (value_after_{{ days }}d - value_before_{{ days }}d)
                * (greatest(last_day - {{ days }}, 0.0) - day_before_{{ days }}d)
                / (day_after_{{ days }}d - day_before_{{ days }}d)
        end as value_{{ days }}d
        {%- endfor %}
    from latest
),

-- A pace of 1 goes from baseline to target in one cycle. Periods shorter than a day count as one day, because a pace
-- cannot be measured over less.
measured as (
    select
        *,
        last_day - previous_day as days_between_check_ins,
        {{ progress_ratio('value', 'baseline', 'target') }} as progress_ratio,
        greatest(cycle_days - last_day, {{ var('min_remaining_days') }}) as remaining_days,
        (value - baseline) / (target - baseline) / greatest(last_day, 1.0) * cycle_days as pace
        {%- for days in windows %},
        coalesce(value - value_{{ days }}d, 0.0) / (target - baseline)
        / greatest(least(last_day, {{ days }}), 1.0) * cycle_days as pace_{{ days }}d
        {%- endfor %}
    from with_window_starts
)

select
    measured.key_result_id,
    measured.as_of,
    measured.as_of_kind,
    measured.known_at,
    measured.team_id,
    measured.cycle_id,
    measured.cycle_name,
    measured.cycle_start,
    measured.cycle_end,
    measured.starts_at,
    measured.ends_at,
    measured.as_of_day,
    measured.cycle_days,
    measured.baseline,
    measured.target,
    measured.value,
    measured.confidence,
    measured.check_ins::integer as check_ins,
    measured.last_day,
    measured.days_between_check_ins,
    measured.remaining_days,
    measured.progress_ratio,
    measured.pace
    {%- for days in windows %},
    measured.pace_{{ days }}d
    {%- endfor %},
    measured.sum_of_values,
    -- The first step starts at the baseline.
    measured.squared_steps_between
    + coalesce(
        {{ square('measured.first_value - measured.baseline') }} / greatest(measured.first_day, {{ var('min_step_days') }}),
        0.0
    ) as squared_steps
from measured
