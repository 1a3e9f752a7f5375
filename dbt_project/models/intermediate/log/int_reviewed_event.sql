{{ config(materialized='ephemeral') }}

-- The rules that individual events break, the operators' decisions on events (also on events that break no rule, with
-- the rule `manual`), and whether each event is withheld.
with implausible as (
    select
        version.event_id,
        'implausible_progress' as rule,
        format(
            'check-in %s: its value %s is %s times the targeted gain away from the baseline of key result %s.',
            version.check_in_id, trim_scale(check_in.value::numeric), round(check_in.progress_ratio::numeric),
            version.key_result_id
        ) as reason
    from {{ ref('int_check_in') }} as check_in
    inner join {{ ref('int_check_in_version') }} as version
        on check_in.check_in_id = version.check_in_id and version.is_current
    where abs(check_in.progress_ratio) > {{ var('max_progress') }}
),

unknown as (
    select
        version.event_id,
        'unknown_key_result' as rule,
        format(
            'check-in %s belongs to key result %s, which has never been defined.',
            version.check_in_id, version.key_result_id
        ) as reason
    from {{ ref('int_check_in') }} as check_in
    inner join {{ ref('int_check_in_version') }} as version
        on check_in.check_in_id = version.check_in_id and version.is_current
    where not check_in.is_key_result_known
),

early as (
    select
        event_id,
        'implausible_year' as rule,
        format('check-in %s is dated %s.', check_in_id, extract(year from checked_in_at at time zone 'UTC')) as reason
    from {{ ref('int_check_in_version') }}
    where is_current and checked_in_at < '1990-01-01 00:00+00'
),

broken_rule as (
    select event_id, rule, reason, true as is_identity from {{ ref('int_identity_conflict') }}
    union all
    select *, false from implausible
    union all
    select *, false from unknown
    union all
    select *, false from early
),

reviewed as (
    select
        event_id,
        rule,
        broken_rule.reason,
        review.decision,
        review.note,
        review.decided_by,
        review.decided_at,
        coalesce(broken_rule.is_identity, false) as is_identity
    from broken_rule
    full join {{ source('ops', 'event_review') }} as review using (event_id, rule)
),

logged as (
    select distinct on (event_id)
        event_id, event_type, subject, occurred_at, logged_at, kafka_partition, kafka_offset
    from {{ source('raw', 'okr_user_events') }}
    where event_id in (select event_id from reviewed)
    order by event_id, {{ log_order() }}
)

select
    reviewed.event_id,
    reviewed.rule,
    coalesce(reviewed.reason, 'An operator decided on this event.') as reason,
    logged.event_type,
    logged.subject,
    logged.occurred_at,
    logged.logged_at,
    logged.kafka_partition,
    logged.kafka_offset,
    reviewed.decision,
    reviewed.note,
    reviewed.decided_by,
    reviewed.decided_at,
    withheld.event_id is not null as is_withheld
from reviewed
inner join logged using (event_id)
left join {{ ref('int_withheld_event') }} as withheld using (event_id)
