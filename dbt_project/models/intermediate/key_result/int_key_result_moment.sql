{{ config(indexes=[{'columns': ['key_result_id', 'as_of'], 'unique': true}]) }}

-- A table of its own, with statistics: each join below is by an id that has few versions, but what it keeps of them is
-- more than the planner expects, and what follows would be planned for one row.
with key_result as (
    select
        key_result.key_result_id,
        key_result.final_at,
        not key_result.is_closed and not key_result.is_archived
        and coalesce({{ utc_date('log.data_as_of') }} <= key_result.cycle_end, true) as is_forecast,
        first_version.recorded_at
    from {{ ref('int_key_result') }} as key_result
    cross join {{ ref('int_data_as_of') }} as log
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

heard as (
    select
        check_in.key_result_id,
        check_in.checked_in_at as as_of,
        'check_in' as as_of_kind,
        greatest(check_in.checked_in_at, min(check_in.recorded_at), min(key_result.recorded_at)) as heard_at,
        min(key_result.recorded_at) as defined_recorded_at
    from {{ ref('int_check_in_version') }} as check_in
    inner join key_result using (key_result_id)
    where not check_in.is_final and (key_result.final_at is null or check_in.checked_in_at < key_result.final_at)
    group by check_in.key_result_id, check_in.checked_in_at
    union all
    select key_result.key_result_id, log.data_as_of, 'current', log.data_as_of, key_result.recorded_at
    from key_result
    cross join {{ ref('int_data_as_of') }} as log
    where key_result.is_forecast
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
            heard.defined_recorded_at, objective.recorded_at, cycle.recorded_at
        ) as usable_from
    from heard
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
)

-- The target that held: of the definitions known by then the newest, and before all of them the first.
-- A check-in at the very end of the log stands for the current row.
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
