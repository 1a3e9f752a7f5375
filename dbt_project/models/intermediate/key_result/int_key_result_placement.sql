{{ config(indexes=[{'columns': ['key_result_id', 'from_at'], 'unique': true}]) }}

-- Each join below is on an id that has only a few rows per table, so the cost grows linearly with the number of rows.
with defined as (
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

-- Teams plan the next cycle before the current one is over. A move from a cycle that has started to one that has not
-- takes effect when the new cycle starts; until then, the key result remains in the old cycle.
moved as (
    select
        compared.*,
        case
            when
                is_move and begins_at > from_at
                and min(begins_at) over (
                    partition by key_result_id order by from_at rows between unbounded preceding and 1 preceding
                ) <= from_at
                then begins_at
            else from_at
        end as effective_at,
        count(*) filter (where is_move) over (partition by key_result_id order by from_at) as move_number
    from (
        select
            defined.*,
            cycle.cycle_start::timestamp at time zone 'UTC' as begins_at,
            defined.cycle_id is distinct from lag(defined.cycle_id) over by_time
            and lag(defined.from_at) over by_time is not null as is_move
        from defined
        left join {{ ref('int_cycle') }} as cycle using (cycle_id)
        window by_time as (partition by defined.key_result_id order by defined.from_at)
    ) as compared
),

by_objective as (
    select *
    from (
        select
            key_result_id,
            version_number,
            objective_id,
            objective_title,
            defined_team_id,
            cycle_id,
            greatest(
                from_at, first_value(effective_at) over (partition by key_result_id, move_number order by from_at)
            ) as from_at,
            case
                when lead(move_number) over by_time = move_number then least(to_at, until_at) else until_at
            end as to_at
        from (
            select
                moved.*,
                coalesce(
                    min(effective_at) filter (where is_move) over (
                        partition by key_result_id order by from_at rows between 1 following and unbounded following
                    ),
                    'infinity'
                ) as until_at
            from moved
        ) as followed
        window by_time as (partition by key_result_id order by from_at)
    ) as piece
    where from_at < to_at
),

-- The objectives of a dissolved team pass to its successor. Without a successor, they are archived with the team.
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
    select entity_type, id, range_agg(tstzrange(ended_at, coalesce(revived_at, 'infinity'))) as spans
    from {{ ref('int_ending') }}
    where entity_type in ('key_result', 'objective') and ended_at is distinct from revived_at
    group by entity_type, id
),

with_archived_spans as (
    select
        by_team.*,
        coalesce(own.spans, '{}'::tstzmultirange) as own_spans,
        coalesce(own.spans, '{}'::tstzmultirange) + coalesce(objective.spans, '{}'::tstzmultirange)
        + case when by_team.is_team_dissolved then tstzmultirange(by_team.span) else '{}'::tstzmultirange end
            as archived_spans
    from by_team
    left join archived as own on by_team.key_result_id = own.id and own.entity_type = 'key_result'
    left join archived as objective on by_team.objective_id = objective.id and objective.entity_type = 'objective'
),

split_at_archivals as (
    select
        with_archived_spans.*,
        piece.is_archived,
        lower(piece.span) as from_at,
        upper(piece.span) as to_at
    from with_archived_spans
    cross join lateral (
        select
            unnest(tstzmultirange(with_archived_spans.span) - with_archived_spans.archived_spans) as span,
            false as is_archived
        union all
        select unnest(tstzmultirange(with_archived_spans.span) * with_archived_spans.archived_spans), true
    ) as piece
),

-- A stay is an uninterrupted period in one cycle. The team, the objective and the target may change during a stay.
changed as (
    select
        *,
        coalesce(cycle_id is distinct from lag(cycle_id) over by_time and lag(from_at) over by_time is not null, false)
            as is_new_stay,
        is_archived and lag(is_archived) over by_time is not true as is_new_archival
    from split_at_archivals
    window by_time as (partition by key_result_id order by from_at)
),

numbered as (
    select
        *,
        (1 + count(*) filter (where is_new_stay) over by_time)::integer as stay_number,
        max(from_at) filter (where is_new_archival) over by_time as archived_at
    from changed
    window by_time as (partition by key_result_id order by from_at)
)

select
    key_result_id,
    from_at,
    to_at,
    {{ utc_date('from_at') }} as from_day,
    {{ utc_date('to_at') }} - 1 as to_day,
    version_number,
    objective_id,
    objective_title,
    team_id,
    team_name,
    team_organisation_id,
    cycle_id,
    stay_number,
    is_archived,
    case when is_archived then archived_at end as archived_at,
    case
        when not is_archived then null
        when own_spans @> from_at then 'key_result'
        when is_team_dissolved then 'team'
        else 'objective'
    end as archived_reason
from numbered
