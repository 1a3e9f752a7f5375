{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

-- What was known after each closing: of the series its last cycles, of the organisation all of its closed key results.
-- Squares are per day.
with series_history as (
    select
        series_id,
        known_at,
        array[
            count(*) over recent_noise,
            sum((squared_steps)::numeric) over recent_noise,
            sum((steps)::numeric) over recent_noise,
            sum((squared_change)::numeric) over recent_noise,
            count(*) over recent_level,
            sum((sum_of_values)::numeric) over recent_level,
            sum((points)::numeric) over recent_level
        ] as known,
        row_number() over (order by known_at, key_result_id, cycle_id) as closing_number
    from {{ ref('int_series_closing') }}
    window
        recent_noise as (
            partition by series_id order by known_at, key_result_id, cycle_id
            rows {{ var('cycles_of_noise') - 1 }} preceding
        ),
        recent_level as (
            partition by series_id order by known_at, key_result_id, cycle_id
            rows {{ var('cycles_of_level') - 1 }} preceding
        )
),

organisation_history as (
    select
        organisation,
        known_at,
        array[
            count(*) over so_far,
            avg((ln(squared_steps / steps / squared_gain + {{ var('min_noise_rate') }}))::numeric) over so_far,
            avg((ln(squared_change / squared_gain + {{ var('min_noise_rate') }}))::numeric) over so_far
        ] as known,
        row_number() over (order by known_at, key_result_id, cycle_id) as closing_number
    from {{ ref('int_series_closing') }}
    window so_far as (partition by organisation order by known_at, key_result_id, cycle_id)
),

-- Each row gets the array of the last closing that was known by then. The first element, which increases over all
-- closings, lets a running maximum find it.
with_series as (
    select * from (
        select
            pace.*,
            max(known) over (partition by series_id order by known_at, kind) as of_series
        from (
            select
                series_id, known_at, 1 as kind, key_result_id, as_of, null::double precision[] as known
            from {{ ref('int_key_result_pace') }}
            inner join {{ ref('int_key_result_series') }} using (key_result_id)
            union all
            select series_id, known_at, 0, null, null, array[closing_number::double precision] || known::double precision[]
            from series_history
        ) as pace
    ) as event
    where key_result_id is not null
),

with_organisation as (
    select * from (
        select
            pace.*,
            max(known) over (partition by organisation order by known_at, kind) as of_organisation
        from (
            select
                key_result.organisation, pace.known_at, 1 as kind, key_result_id, pace.as_of,
                null::double precision[] as known
            from {{ ref('int_key_result_pace') }} as pace
            inner join {{ ref('int_key_result') }} as key_result using (key_result_id)
            union all
            select organisation, known_at, 0, null, null, array[closing_number::double precision] || known::double precision[]
            from organisation_history
        ) as pace
    ) as event
    where key_result_id is not null
),

-- Rates of the organisation in units of the targeted gain, per day; a constant until enough key results have closed.
measured as (
    select
        pace.key_result_id,
        pace.as_of,
        pace.target - pace.baseline as gain,
        pace.value,
        pace.check_ins,
        pace.squared_steps / {{ square('pace.target - pace.baseline') }} as squared_steps,
        pace.remaining_days,
        pace.remaining_days / pace.cycle_days as remaining_ratio,
        coalesce(of_series[2], 0.0) as noise_cycles,
        coalesce(of_series[3], 0.0) / {{ square('pace.target - pace.baseline') }} as past_squared_steps,
        coalesce(of_series[4], 0.0) as past_steps,
        coalesce(of_series[5], 0.0) / {{ square('pace.target - pace.baseline') }} as past_squared_changes,
        coalesce(of_series[6], 0.0) as level_cycles,
        of_series[7] / of_series[8] as level,
        case
            when of_organisation[2] >= {{ var('min_closed_for_noise') }}
                then exp(of_organisation[3]) * {{ var('step_noise_factor') }}
            else {{ var('default_noise_rate') }}
        end as usual_step,
        case
            when of_organisation[2] >= {{ var('min_closed_for_noise') }}
                then exp(of_organisation[4]) * {{ var('cycle_noise_factor') }}
            else {{ var('default_noise_rate') }}
        end as usual_change
    from {{ ref('int_key_result_pace') }} as pace
    inner join with_series using (key_result_id, as_of)
    inner join with_organisation using (key_result_id, as_of)
),

rates as (
    select
        *,
        ({{ var('step_noise_weight') }} * usual_step + past_squared_steps + squared_steps)
        / ({{ var('step_noise_weight') }} + past_steps + check_ins) as step_rate,
        ({{ var('cycle_noise_weight') }} * usual_change + past_squared_changes)
        / ({{ var('cycle_noise_weight') }} + noise_cycles) as change_rate
    from measured
)

select
    key_result_id,
    as_of,
    sqrt(
        exp(remaining_ratio * ln(change_rate) + (1.0 - remaining_ratio) * ln(step_rate)) * remaining_days
    ) as noise_ratio,
    coalesce((level - value) / gain, 0.0)
    * level_cycles / (level_cycles + {{ var('level_weight') }}) * remaining_ratio as reversion_ratio
from rates
