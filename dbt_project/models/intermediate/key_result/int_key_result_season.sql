{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

-- The two times, a year (8,766 hours) before, between which the change is measured: those of the last check-in and of the
-- end of the cycle.
with question as (
    select
        pace.key_result_id,
        pace.as_of,
        pace.known_at,
        series.series_id,
        moment.number,
        moment.at - interval '8766 hours' as at
    from {{ ref('int_key_result_pace') }} as pace
    inner join {{ ref('int_key_result_series') }} as series using (key_result_id)
    cross join lateral (
        values (1, pace.starts_at + make_interval(secs => pace.last_day * 86400.0)), (2, pace.ends_at)
    ) as moment (number, at)
),

-- All points of the closed cycles of each series.
point as (
    select
        closing.series_id,
        closing.key_result_id,
        closing.cycle_id,
        closing.known_at,
        point.at,
        point.value
    from {{ ref('int_series_closing') }} as closing
    cross join lateral (
        select closing.starts_at as at, closing.baseline as value
        union all
        select closing.ends_at, closing.final_value
        union all
        select pace.as_of, pace.value
        from {{ ref('int_key_result_pace') }} as pace
        where
            pace.key_result_id = closing.key_result_id
            and pace.cycle_id = closing.cycle_id
            and pace.as_of_kind = 'check_in'
            and pace.as_of > closing.starts_at and pace.as_of < closing.ends_at
    ) as point
),

numbered as (
    select *, row_number() over (order by series_id, at, key_result_id, cycle_id) as point_number from point
),

-- The points before and after each question. The first element, the number of the point, lets a running maximum (or
-- minimum) find the nearest one.
around as (
    select
        event.*,
        max(point) over (partition by series_id order by at, kind) as before,
        min(point) over (partition by series_id order by at desc, kind desc) as after
    from (
        select
            series_id, at, 1 as kind, key_result_id, as_of, known_at, number,
            null::double precision[] as point
        from question
        union all
        select
            series_id, at, 0, null, null, null, null,
            array[
                point_number, extract(epoch from at), value, extract(epoch from known_at),
                dense_rank() over (order by key_result_id, cycle_id)
            ]::double precision[]
        from numbered
    ) as event
),

answered as (
    select
        key_result_id,
        as_of,
        number,
        before[3] + case
            when after[2] > before[2]
                then (after[3] - before[3]) * (extract(epoch from at)::double precision - before[2]) / (after[2] - before[2])
            else 0.0
        end as value
    from around
    where
        kind = 1
        and before[5] = after[5]
        and greatest(before[4], after[4]) <= extract(epoch from known_at)
),

change as (
    select key_result_id, as_of, max(value) filter (where number = 2) - max(value) filter (where number = 1) as change
    from answered
    group by key_result_id, as_of
    having count(*) = 2
)

select
    pace.key_result_id,
    pace.as_of,
    coalesce(change.change / (pace.target - pace.baseline), 0.0) / (1.0 + {{ var('season_weight') }}) as season_ratio
from {{ ref('int_key_result_pace') }} as pace
left join change using (key_result_id, as_of)
