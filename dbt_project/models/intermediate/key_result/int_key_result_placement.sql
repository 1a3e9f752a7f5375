{{ config(indexes=[{'columns': ['key_result_id', 'from_at'], 'unique': true}]) }}

-- Each join below is by an id, and an id has few versions: work grows with key results, not with their product.
with by_objective as (
    select
        key_result.key_result_id,
        key_result.version_number,
        key_result.objective_id,
        objective.title as objective_title,
        objective.team_id as defined_team_id,
        objective.cycle_id,
        greatest(key_result.holds_from, coalesce(objective.holds_from, '-infinity')) as from_at,
        least(key_result.holds_to, coalesce(objective.holds_to, 'infinity')) as to_at
    from {{ ref('int_key_result_version') }} as key_result
    left join {{ ref('int_objective_version') }} as objective
        on key_result.objective_id = objective.objective_id
        and key_result.holds_from < objective.holds_to and objective.holds_from < key_result.holds_to
        and objective.holds_from < objective.holds_to
    where key_result.holds_from < key_result.holds_to
),

-- A dissolved team's successor holds its objectives; without one they are archived by their team.
by_holder as (
    select
        by_objective.key_result_id,
        by_objective.version_number,
        by_objective.objective_id,
        by_objective.objective_title,
        coalesce(holder.holder_id, by_objective.defined_team_id) as team_id,
        by_objective.cycle_id,
        holder.team_id is not null and holder.holder_id is null as is_team_dissolved,
        greatest(by_objective.from_at, coalesce(holder.from_at, '-infinity')) as from_at,
        least(by_objective.to_at, coalesce(holder.to_at, 'infinity')) as to_at
    from by_objective
    left join {{ ref('int_team_holder') }} as holder
        on by_objective.defined_team_id = holder.team_id
        and by_objective.from_at < holder.to_at and holder.from_at < by_objective.to_at
),

by_team as (
    select
        by_holder.key_result_id,
        by_holder.version_number,
        by_holder.objective_id,
        by_holder.objective_title,
        by_holder.team_id,
        team.name as team_name,
        team.organisation_id as team_organisation_id,
        by_holder.cycle_id,
        by_holder.is_team_dissolved,
        tstzrange(
            greatest(by_holder.from_at, coalesce(team.holds_from, '-infinity')),
            least(by_holder.to_at, coalesce(team.holds_to, 'infinity'))
        ) as span
    from by_holder
    left join {{ ref('int_team_version') }} as team
        on by_holder.team_id = team.team_id
        and by_holder.from_at < team.holds_to and team.holds_from < by_holder.to_at
        and team.holds_from < team.holds_to
),

archived as (
    select noun, id, range_agg(tstzrange(ended_at, coalesce(revived_at, 'infinity'))) as spans
    from {{ ref('int_ending') }}
    where noun in ('key_result', 'objective') and ended_at is distinct from revived_at
    group by noun, id
),

marked as (
    select
        by_team.*,
        coalesce(own.spans, '{}'::tstzmultirange) as own_spans,
        coalesce(own.spans, '{}'::tstzmultirange) + coalesce(objective.spans, '{}'::tstzmultirange)
        + case when by_team.is_team_dissolved then tstzmultirange(by_team.span) else '{}'::tstzmultirange end
            as archived_spans
    from by_team
    left join archived as own on by_team.key_result_id = own.id and own.noun = 'key_result'
    left join archived as objective on by_team.objective_id = objective.id and objective.noun = 'objective'
),

cut as (
    select
        marked.*,
        piece.is_archived,
        lower(piece.span) as from_at,
        upper(piece.span) as to_at
    from marked
    cross join lateral (
        select unnest(tstzmultirange(marked.span) - marked.archived_spans) as span, false as is_archived
        union all
        select unnest(tstzmultirange(marked.span) * marked.archived_spans), true
    ) as piece
),

-- A stay is an unbroken time in one cycle; a team, an objective or a target may change within it.
changed as (
    select
        *,
        coalesce(cycle_id is distinct from lag(cycle_id) over by_time and lag(from_at) over by_time is not null, false)
            as is_new_stay,
        is_archived and lag(is_archived) over by_time is not true as is_new_archival
    from cut
    window by_time as (partition by key_result_id order by from_at)
),

numbered as (
    select
        *,
        (1 + count(*) filter (where is_new_stay) over by_time)::integer as stay_number,
        max(from_at) filter (where is_new_archival) over by_time as archived_at
    from changed
    window by_time as (partition by key_result_id order by from_at)
),

first_defined as (
    select key_result_id, valid_from as defined_at
    from {{ ref('int_key_result_version') }}
    where version_number = 1
),

stay as (
    select key_result_id, stay_number, cycle_id, min(from_at) as from_at, max(to_at) as to_at
    from numbered
    group by key_result_id, stay_number, cycle_id
),

closed_stay as (
    select distinct stay.key_result_id, stay.stay_number
    from stay
    inner join {{ ref('int_check_in_version') }} as check_in
        on stay.key_result_id = check_in.key_result_id
        and check_in.checked_in_at >= stay.from_at and check_in.checked_in_at < stay.to_at
    where check_in.is_current and check_in.is_final
),

-- It counts in the cycle where it is now, where it was closed, and where it still was when the cycle ended.
counted as (
    select
        stay.key_result_id,
        stay.stay_number,
        stay.cycle_id,
        stay.to_at = 'infinity'
        or closed_stay.stay_number is not null
        or coalesce(
            greatest(stay.from_at, first_defined.defined_at) < cycle.ended_at and cycle.ended_at <= stay.to_at, false
        ) as is_counted
    from stay
    inner join first_defined using (key_result_id)
    left join closed_stay using (key_result_id, stay_number)
    left join {{ ref('int_cycle') }} as cycle using (cycle_id)
),

-- What was only planned in one cycle and done in another counts, with its check-ins, in the other.
counting as (
    select
        *,
        min(stay_number) filter (where is_counted) over (
            partition by key_result_id order by stay_number rows between current row and unbounded following
        ) as counted_stay_number
    from counted
)

select
    numbered.key_result_id,
    numbered.from_at,
    numbered.to_at,
    {{ utc_date('numbered.from_at') }} as from_day,
    {{ utc_date('numbered.to_at') }} - 1 as to_day,
    numbered.version_number,
    numbered.objective_id,
    numbered.objective_title,
    numbered.team_id,
    numbered.team_name,
    numbered.team_organisation_id,
    numbered.cycle_id,
    numbered.stay_number,
    counting.counted_stay_number,
    target.cycle_id as counted_cycle_id,
    numbered.is_archived,
    case when numbered.is_archived then numbered.archived_at end as archived_at,
    case
        when not numbered.is_archived then null
        when numbered.own_spans @> numbered.from_at then 'key_result'
        when numbered.is_team_dissolved then 'team'
        else 'objective'
    end as archived_reason
from numbered
inner join counting
    on numbered.key_result_id = counting.key_result_id and numbered.stay_number = counting.stay_number
inner join counting as target
    on counting.key_result_id = target.key_result_id and counting.counted_stay_number = target.stay_number
