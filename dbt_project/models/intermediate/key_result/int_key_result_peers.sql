{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

-- The recent movement of each key result: what its pace of the last 28 days adds until the end of the cycle, less if it
-- was measured over few days, in units of its noise.
with movement as (
    select
        pace.key_result_id,
        pace.as_of,
        pace.as_of_kind,
        pace.known_at,
        key_result.organisation,
        least(greatest(
            pace.pace_28d * pace.remaining_days / pace.cycle_days / noise.noise_ratio
            * recent.days / (recent.days + 7.0)
        , -{{ var('max_peer_movement') }}), {{ var('max_peer_movement') }}) as movement,
        pace.known_at + make_interval(hours => 24 * {{ var('peer_days') }}) as forgotten_at
    from {{ ref('int_key_result_pace') }} as pace
    inner join {{ ref('int_key_result') }} as key_result using (key_result_id)
    inner join {{ ref('int_key_result_noise') }} as noise using (key_result_id, as_of)
    cross join lateral (select greatest(least(pace.last_day, 28.0), 1.0) as days) as recent
),

-- A movement counts from the time at which it was known until the next one of its key result, at most for peer_days.
-- The row of the current state has no movement of its own; own_movement is what still counts of the last check-in.
period as (
    select
        *,
        case
            when as_of_kind = 'check_in' then least(
                case when lead(as_of_kind) over by_time = 'check_in' then lead(known_at) over by_time end, forgotten_at
            )
        end as ends_at,
        case
            when as_of_kind = 'current' and lag(forgotten_at) over by_time > known_at then lag(movement) over by_time
        end as own_movement
    from movement
    window by_time as (partition by key_result_id order by known_at, as_of_kind, as_of)
),

-- At the same time, ends come first, then the rows that read the sums, then starts.
event as (
    select
        organisation, known_at as at, 2 as kind, key_result_id, as_of, movement, 1 as peer_count,
        null::double precision as own_movement
    from period
    where ends_at > known_at
    union all
    select organisation, ends_at, 0, key_result_id, as_of, -movement, -1, null
    from period
    where ends_at > known_at
    union all
    select organisation, known_at, 1, key_result_id, as_of, 0.0, 0, own_movement from period
),

summed as (
    select
        key_result_id,
        as_of,
        kind,
        own_movement,
        sum((movement)::numeric) over so_far as movements,
        sum(peer_count) over so_far as peer_count
    from event
    window so_far as (
        partition by organisation order by at, kind, key_result_id, as_of rows unbounded preceding
    )
)

select
    key_result_id,
    as_of,
    (movements - coalesce(own_movement, 0.0)::numeric)::double precision
    / (peer_count - (own_movement is not null)::integer + {{ var('peer_weight') }}) as peer_drift
from summed
where kind = 1
