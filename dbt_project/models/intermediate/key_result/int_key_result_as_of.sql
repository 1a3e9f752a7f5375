{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

-- This is a table, not a CTE of key_result_features, so that the planner has statistics on it. Each join below finds
-- more rows than the planner estimates; without statistics, it would plan the later steps for a single row.
with first_version as (
    select key_result_id, recorded_at from {{ ref('int_key_result_version') }} where version_number = 1
),

heard as (
    select
        check_in.key_result_id,
        check_in.checked_in_at as as_of,
        'check_in' as as_of_kind,
        greatest(check_in.checked_in_at, min(check_in.recorded_at), min(first_version.recorded_at)) as heard_at,
        min(first_version.recorded_at) as defined_recorded_at
    from {{ ref('int_check_in_version') }} as check_in
    inner join first_version using (key_result_id)
    where not check_in.is_final
    group by check_in.key_result_id, check_in.checked_in_at
    union all
    select key_result.key_result_id, log.data_as_of, 'current', log.data_as_of, first_version.recorded_at
    from {{ ref('int_key_result') }} as key_result
    inner join first_version using (key_result_id)
    cross join {{ ref('int_data_as_of') }} as log
    where not key_result.is_closed and not key_result.is_archived
),

-- The cycle as known at heard_at, so that no earlier row changes if the objective moves or the cycle's dates change
-- later. The baseline is often the outcome of the previous cycle and must not be used before the second day of this
-- one.
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
            heard.defined_recorded_at, objective.recorded_at, cycle.recorded_at
        ) as usable_from
    from heard
    inner join {{ ref('int_key_result_version') }} as key_result
        on heard.key_result_id = key_result.key_result_id
        and heard.heard_at >= key_result.known_from and heard.heard_at < key_result.known_to
    inner join {{ ref('int_objective_version') }} as objective
        on key_result.objective_id = objective.objective_id
        and heard.heard_at >= objective.known_from and heard.heard_at < objective.known_to
    inner join {{ ref('int_cycle_version') }} as cycle
        on objective.cycle_id = cycle.cycle_id
        and heard.heard_at >= cycle.known_from and heard.heard_at < cycle.known_to
    where cycle.starts_on is not null and cycle.ends_on is not null
),

-- Excludes check-ins from the closing onwards, the current state in a cycle that is over, and check-ins that belong to
-- the previous cycle because they were made before the key result moved or before the new cycle started (even if
-- the objective was already in the new cycle when they were recorded).
moment as (
    select placed.*, greatest(placed.heard_at, placed.usable_from) as known_at
    from placed
    inner join {{ ref('int_data_as_of') }} as log on greatest(placed.heard_at, placed.usable_from) <= log.data_as_of
    left join {{ ref('int_key_result_cycle') }} as outcome
        on placed.key_result_id = outcome.key_result_id and placed.cycle_id = outcome.cycle_id
    where
        case placed.as_of_kind
            when 'check_in' then outcome.final_at is null or placed.as_of < outcome.final_at
            else placed.cycle_end >= {{ utc_date('log.data_as_of') }}
        end
        and not exists (
            select from {{ ref('int_key_result_cycle') }} as left_cycle
            where
                left_cycle.key_result_id = placed.key_result_id
                and left_cycle.cycle_id <> placed.cycle_id
                and left_cycle.ended_at > placed.as_of
                and (left_cycle.ended_at <= placed.heard_at or placed.starts_at > placed.as_of)
        )
),

-- Check-ins made before the key result left its previous cycle belong to that cycle.
left_before as (
    select moment.key_result_id, moment.as_of, moment.as_of_kind, max(left_cycle.ended_at) as counts_from
    from moment
    inner join {{ ref('int_key_result_cycle') }} as left_cycle
        on moment.key_result_id = left_cycle.key_result_id
        and moment.cycle_id <> left_cycle.cycle_id
        and moment.as_of >= left_cycle.ended_at
    group by moment.key_result_id, moment.as_of, moment.as_of_kind
),

-- The times at which a check-in was recorded or corrected although a row later than the check-in was already known.
late as (
    select key_result_id, array_agg(distinct late_at order by late_at) as late_at
    from (
        select key_result_id, late_at, min(known_at) over (partition by key_result_id order by as_of desc) as first_known_at
        from (
            select key_result_id, as_of, known_at, null::timestamptz as late_at from moment
            union all
            select key_result_id, checked_in_at, null, recorded_at from {{ ref('int_check_in_version') }} where not is_final
            union all
            select key_result_id, checked_in_at, null, superseded_at from {{ ref('int_check_in_version') }}
            where not is_final and superseded_at is not null
        ) as event
    ) as compared
    where late_at > first_known_at
    group by key_result_id
),

-- Rows with the same edition number contain prefixes of one trajectory, because no late check-in or correction
-- separates them.
described as (
    select
        moment.*,
        coalesce(left_before.counts_from, '-infinity') as counts_from,
        coalesce(width_bucket(moment.known_at, late.late_at), 0) as edition_number
    from moment
    left join left_before
        on moment.key_result_id = left_before.key_result_id
        and moment.as_of = left_before.as_of
        and moment.as_of_kind = left_before.as_of_kind
    left join late on moment.key_result_id = late.key_result_id
)

-- The definition is the newest that was valid at as_of and recorded by known_at, or else the first one. If a check-in
-- has the same as_of as the `current` row, its row replaces that row.
select distinct on (moment.key_result_id, moment.as_of)
    moment.*,
    dense_rank() over (
        order by moment.key_result_id, moment.starts_at, moment.counts_from, moment.edition_number
    ) as trajectory_number,
    {{ days_between('moment.starts_at', 'moment.as_of') }} as as_of_day,
    {{ days_between('moment.starts_at', 'moment.ends_at') }} as cycle_days,
    definition.baseline,
    definition.target
from described as moment
inner join {{ ref('int_key_result_version') }} as definition
    on moment.key_result_id = definition.key_result_id
    and definition.recorded_at <= moment.known_at
    and (definition.version_number = 1 or definition.valid_from <= greatest(moment.as_of, moment.usable_from))
order by moment.key_result_id, moment.as_of, moment.as_of_kind, definition.version_number desc
