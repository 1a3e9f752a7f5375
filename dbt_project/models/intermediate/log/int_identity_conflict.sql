{{ config(indexes=[{'columns': ['event_id', 'rule'], 'unique': true}]) }}

-- With a single organisation, events cannot contradict each other about organisations, so none are compared.
with organisation_count as (
    select count(distinct data ->> 'organisation_id') > 1 as is_more_than_one
    from {{ source('raw', 'okr_user_events') }}
    where event_type in ('okr.team.defined.v1', 'okr.cycle.defined.v1')
),

review as (
    select
        event_id,
        bool_or(decision = 'withhold') as is_withheld,
        bool_or(decision = 'release') as is_released,
        bool_or(decision = 'release' and rule = 'other_organisation') as is_organisation_released,
        bool_or(decision = 'release' and rule = 'other_key_result') as is_key_result_released
    from {{ source('ops', 'event_review') }}
    group by event_id
),

event as materialized (
    select distinct on (logged.event_id)
        logged.event_id,
        event_type,
        subject,
        data ->> 'organisation_id' as organisation_id,
        data ->> 'team_id' as team_id,
        data ->> 'cycle_id' as cycle_id,
        data ->> 'objective_id' as objective_id,
        data ->> 'key_result_id' as key_result_id,
        data ->> 'check_in_id' as check_in_id,
        data ->> 'user_id' as user_id,
        data ->> 'successor_team_id' as successor_team_id,
        occurred_at,
        logged_at,
        kafka_partition,
        kafka_offset,
        coalesce(review.is_withheld, false) as is_withheld,
        coalesce(review.is_released, false) as is_released
    from {{ source('raw', 'okr_user_events') }} as logged
    left join review on logged.event_id = review.event_id
    where
        (select is_more_than_one from organisation_count)
        and event_type in (
            'okr.team.defined.v1', 'okr.cycle.defined.v1', 'okr.objective.defined.v1', 'okr.key_result.defined.v1',
            'okr.user.defined.v1', 'okr.check_in.recorded.v1', 'okr.comment.posted.v1', 'okr.key_result.archived.v1',
            'okr.objective.archived.v1', 'okr.cycle.closed.v1', 'okr.team.archived.v1'
        )
    order by logged.event_id, {{ log_order() }}
),

-- A claim is an event that assigns an entity to one of the organisations in organisation_ids.
team_claim as (
    select *, subject as entity_id, array[organisation_id] as organisation_ids
    from event
    where event_type = 'okr.team.defined.v1'
),

team as ({{ organisations_of('team_claim') }}),

cycle_claim as (
    select *, subject as entity_id, array[organisation_id] as organisation_ids
    from event
    where event_type = 'okr.cycle.defined.v1'
),

cycle as ({{ organisations_of('cycle_claim') }}),

objective_claim as (
    select
        event.*,
        event.subject as entity_id,
        case
            when team.organisation_ids && cycle.organisation_ids
                then array(select unnest(team.organisation_ids) intersect select unnest(cycle.organisation_ids))
            else coalesce(team.organisation_ids, cycle.organisation_ids)
        end as organisation_ids,
        team.organisation_ids as team_organisation_ids,
        cycle.organisation_ids as cycle_organisation_ids
    from event
    left join team on event.team_id = team.entity_id
    left join cycle on event.cycle_id = cycle.entity_id
    where event.event_type = 'okr.objective.defined.v1'
),

objective as ({{ organisations_of('objective_claim', 'not claim.team_organisation_ids && claim.cycle_organisation_ids') }}),

key_result_claim as (
    select event.*, event.subject as entity_id, objective.organisation_ids
    from event
    left join objective on event.objective_id = objective.entity_id
    where event.event_type = 'okr.key_result.defined.v1'
),

key_result as ({{ organisations_of('key_result_claim') }}),

user_claim as (
    select event.*, event.subject as entity_id, team.organisation_ids
    from event
    left join team on event.team_id = team.entity_id
    where event.event_type = 'okr.user.defined.v1'
),

user_ as ({{ organisations_of('user_claim') }}),

-- An action of a user belongs to the organisation that the event names, or else to the user's organisation.
action as (
    select
        event.*,
        case
            when event.event_type in ('okr.objective.archived.v1', 'okr.cycle.closed.v1') then event.subject
            else event.key_result_id
        end as entity_id,
        case when event.organisation_id is not null then array[event.organisation_id] else user_.organisation_ids end
            as organisation_ids
    from event
    left join user_ on event.user_id = user_.entity_id and event.organisation_id is null
    where
        event.event_type in (
            'okr.check_in.recorded.v1', 'okr.comment.posted.v1', 'okr.key_result.archived.v1',
            'okr.objective.archived.v1', 'okr.cycle.closed.v1'
        )
),

claim as (
    select event_id, 'team' as entity_type, entity_id, organisation_ids from team_claim
    union all
    select event_id, 'cycle', entity_id, organisation_ids from cycle_claim
    union all
    select event_id, 'objective', entity_id, organisation_ids from objective_claim
    union all
    select event_id, 'key result', entity_id, organisation_ids from key_result_claim
    union all
    select event_id, 'user', entity_id, organisation_ids from user_claim
    union all
    select event.event_id, 'team', event.subject, team.organisation_ids
    from event
    inner join team on event.successor_team_id = team.entity_id
    where event.event_type = 'okr.team.archived.v1'
    union all
    select
        event_id,
        case event_type
            when 'okr.objective.archived.v1' then 'objective' when 'okr.cycle.closed.v1' then 'cycle' else 'key result'
        end,
        entity_id,
        organisation_ids
    from action
),

assignment as (
    select 'team' as entity_type, * from team
    union all
    select 'cycle', * from cycle
    union all
    select 'objective', * from objective
    union all
    select 'key result', * from key_result
    union all
    select 'user', * from user_
),

organisation_conflict as (
    select
        claim.event_id,
        format(
            '%s %s belongs to organisation %s, but this event says %s.', claim.entity_type, claim.entity_id,
            array_to_string(assignment.organisation_ids, ' or '), array_to_string(claim.organisation_ids, ' or ')
        ) as reason
    from claim
    inner join assignment on claim.entity_type = assignment.entity_type and claim.entity_id = assignment.entity_id
    where not claim.organisation_ids && assignment.organisation_ids
    union all
    select
        event_id,
        format(
            'objective %s belongs to team %s in organisation %s, but to cycle %s in organisation %s.',
            entity_id, team_id,
            array_to_string(team_organisation_ids, ' or '), cycle_id, array_to_string(cycle_organisation_ids, ' or ')
        )
    from objective_claim
    where not team_organisation_ids && cycle_organisation_ids
),

-- The id of a check-in or comment belongs to the key result named by the first event in the log that has this id and
-- is not withheld. A source that numbers check-ins separately for each key result uses the same id for several key
-- results.
reused as (
    select event_type, data ->> 'check_in_id' as id
    from {{ source('raw', 'okr_user_events') }}
    where event_type = 'okr.check_in.recorded.v1'
    group by event_type, data ->> 'check_in_id'
    having min(data ->> 'key_result_id') <> max(data ->> 'key_result_id')
    union all
    select event_type, data ->> 'comment_id'
    from {{ source('raw', 'okr_user_events') }}
    where event_type = 'okr.comment.posted.v1'
    group by event_type, data ->> 'comment_id'
    having min(data ->> 'key_result_id') <> max(data ->> 'key_result_id')
),

reuse as (
    select distinct on (logged.event_id)
        logged.event_id,
        reused.event_type,
        reused.id,
        logged.data ->> 'key_result_id' as key_result_id,
        logged.logged_at,
        logged.kafka_partition,
        logged.kafka_offset,
        coalesce(review.is_withheld, false)
        or coalesce(not review.is_organisation_released, true)
        and logged.event_id in (select event_id from organisation_conflict) as is_withheld,
        coalesce(review.is_key_result_released, false) as is_released
    from reused
    inner join {{ source('raw', 'okr_user_events') }} as logged
        on reused.event_type = logged.event_type
        and reused.id = coalesce(logged.data ->> 'check_in_id', logged.data ->> 'comment_id')
    left join review on logged.event_id = review.event_id
    order by logged.event_id, {{ log_order('', 'logged') }}
),

owner as (
    select event_type, id, array_agg(distinct key_result_id order by key_result_id) as key_result_ids
    from (
        select *, row_number() over (partition by event_type, id order by {{ log_order() }}) as log_rank
        from reuse
        where not is_withheld
    ) as ordered
    where log_rank = 1 or is_released
    group by event_type, id
),

conflict as (
    select event_id, 'other_organisation' as rule, reason from organisation_conflict
    union all
    select
        reuse.event_id,
        'other_key_result',
        format(
            '%s %s belongs to key result %s, but this event says %s.',
            case reuse.event_type when 'okr.check_in.recorded.v1' then 'check-in' else 'comment' end, reuse.id,
            array_to_string(owner.key_result_ids, ' or '), reuse.key_result_id
        )
    from reuse
    inner join owner using (event_type, id)
    where reuse.key_result_id <> all(owner.key_result_ids)
)

select
    event_id,
    rule,
    string_agg(distinct reason, ' ' order by reason) as reason
from conflict
group by event_id, rule
