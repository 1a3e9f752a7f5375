{{ config(indexes=[{'columns': ['key_result_id', 'cycle_id']}]) }}

with attributed as (
    select
        key_result_id,
        counted_cycle_id as cycle_id,
        min(from_at) filter (where stay_number = counted_stay_number) as from_at,
        max(to_at) as to_at
    from {{ ref('int_key_result_counted_cycle') }}
    group by key_result_id, counted_cycle_id
),

first_defined as (
    select key_result_id, valid_from as defined_at
    from {{ ref('int_key_result_version') }}
    where version_number = 1
),

-- The final value comes from the latest closing check-in (a key result can be closed more than once) or, if there is
-- none, from the latest check-in.
latest_check_in as (
    select distinct on (key_result_id, cycle_id)
        key_result_id, cycle_id, value, checked_in_at, recorded_at, is_closing
    from {{ ref('int_check_in') }}
    order by key_result_id, cycle_id, is_closing desc, checked_in_at desc, {{ log_order('desc') }}
),

-- Closing a cycle also closes the key results that are in it, at their latest value.
closing as (
    select
        attributed.key_result_id,
        attributed.cycle_id,
        first_defined.defined_at,
        greatest(attributed.from_at, first_defined.defined_at) as opened_at,
        nullif(attributed.to_at, 'infinity') as ended_at,
        cycle.name as cycle_name,
        cycle.organisation_id as cycle_organisation_id,
        cycle.cycle_start,
        cycle.cycle_end,
        cycle.ended_at as cycle_ended_at,
        latest_check_in.value as latest_value,
        coalesce(latest_check_in.is_closing, false) as is_closed_by_check_in,
        case
            when latest_check_in.is_closing then latest_check_in.checked_in_at
            when greatest(attributed.from_at, first_defined.defined_at) <= cycle.closed_at then cycle.closed_at
        end as closed_at,
        case
            when latest_check_in.is_closing then latest_check_in.recorded_at
            else greatest(cycle.closing_recorded_at, latest_check_in.recorded_at)
        end as closing_recorded_at
    from attributed
    inner join first_defined using (key_result_id)
    left join {{ ref('int_cycle') }} as cycle on attributed.cycle_id = cycle.cycle_id
    left join latest_check_in
        on attributed.key_result_id = latest_check_in.key_result_id
        and attributed.cycle_id is not distinct from latest_check_in.cycle_id
),

-- The state that the row shows: the one when the key result was closed, or else when it left the cycle, or else the
-- current one. A late closing check-in applies to the last state in the cycle in which the key result was not
-- archived.
state_in_cycle as (
    select distinct on (closing.key_result_id, closing.cycle_id)
        closing.*,
        counted.version_number,
        counted.objective_id,
        counted.objective_title,
        counted.team_id,
        counted.team_name,
        counted.team_organisation_id,
        counted.is_archived,
        counted.archived_at,
        counted.archived_reason,
        closing.closed_at is not null and not counted.is_archived as is_closed
    from closing
    inner join {{ ref('int_key_result_counted_cycle') }} as counted
        on closing.key_result_id = counted.key_result_id
        and closing.cycle_id is not distinct from counted.counted_cycle_id
        and case
            when closing.is_closed_by_check_in or closing.ended_at is null and closing.closed_at is not null
                then counted.from_at <= closing.closed_at
            when closing.ended_at is not null then counted.from_at < least(closing.cycle_ended_at, closing.ended_at)
            else true
        end
    order by
        closing.key_result_id, closing.cycle_id,
        closing.is_closed_by_check_in and counted.is_archived, counted.from_at desc
),

described as (
    select
        state_in_cycle.key_result_id,
        coalesce(state_in_cycle.team_organisation_id, state_in_cycle.cycle_organisation_id) as organisation_id,
        coalesce(organisation.name, state_in_cycle.team_organisation_id, state_in_cycle.cycle_organisation_id) as organisation,
        state_in_cycle.team_id,
        state_in_cycle.team_name,
        definition.owner_user_id,
        state_in_cycle.objective_id,
        state_in_cycle.objective_title,
        state_in_cycle.cycle_id,
        state_in_cycle.cycle_name,
        state_in_cycle.cycle_start,
        state_in_cycle.cycle_end,
        definition.title,
        definition.unit,
        definition.baseline,
        definition.target,
        definition.direction,
        definition.weight,
        state_in_cycle.defined_at,
        definition.recorded_at,
        state_in_cycle.opened_at,
        state_in_cycle.ended_at,
        state_in_cycle.ended_at is null as is_current_cycle,
        state_in_cycle.is_archived,
        state_in_cycle.archived_at,
        state_in_cycle.archived_reason,
        state_in_cycle.is_closed,
        case when state_in_cycle.is_closed then state_in_cycle.closed_at end as final_at,
        case when state_in_cycle.is_closed then state_in_cycle.closing_recorded_at end as final_recorded_at,
        case when state_in_cycle.is_closed then coalesce(state_in_cycle.latest_value, definition.baseline) end as final_value
    from state_in_cycle
    inner join {{ ref('int_key_result_version') }} as definition
        on state_in_cycle.key_result_id = definition.key_result_id and state_in_cycle.version_number = definition.version_number
    left join {{ ref('int_organisation_version') }} as organisation
        on coalesce(state_in_cycle.team_organisation_id, state_in_cycle.cycle_organisation_id) = organisation.organisation_id
        and organisation.is_current
),

progressed as (
    select *, {{ progress_ratio('final_value', 'baseline', 'target') }} as final_progress_ratio from described
),

scored as (
    select *, {{ score_ratio('final_progress_ratio') }} as final_score from progressed
)

select *, {{ at_least('final_score', var('achieved_score')) }} as is_achieved from scored
