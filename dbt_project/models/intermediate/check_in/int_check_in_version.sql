{{ config(indexes=[{'columns': ['check_in_id', 'version_number'], 'unique': true}]) }}

-- All versions of each check-in. The last event in the log counts (is_current); ingestion/state/project_check_ins.sql
-- decides the same for the state tables.
with ordered as (
    select
        *,
        row_number() over by_log = 1 as is_first,
        row(key_result_id, user_id, occurred_at, value, confidence, note, is_final) is not distinct from row(
            lag(key_result_id) over by_log, lag(user_id) over by_log, lag(occurred_at) over by_log,
            lag(value) over by_log, lag(confidence) over by_log, lag(note) over by_log, lag(is_final) over by_log
        ) as is_repeated
    from {{ ref('stg_check_in') }}
    window by_log as (partition by check_in_id order by {{ log_order() }})
),

-- unordered_recorded_at: the recording time, before the next step puts the versions in order. Imported history without
-- recording times counts as recorded when it occurred. Later corrections of it count as recorded when they were logged.
unordered as (
    select
        check_in_id,
        key_result_id,
        user_id,
        occurred_at as checked_in_at,
        case
            when not recorded_at_assumed then recorded_at
            when is_first then least(occurred_at, logged_at)
            else logged_at
        end as unordered_recorded_at,
        recorded_at_assumed as is_recorded_at_assumed,
        value,
        confidence,
        note,
        is_final,
        logged_at,
        event_id,
        kafka_partition,
        kafka_offset
    from ordered
    where is_first or not is_repeated
),

-- A version cannot have been recorded before the one that it replaces, even if the source's clock says so.
recorded as (
    select *, max(unordered_recorded_at) over by_log as recorded_at
    from unordered
    window by_log as (partition by check_in_id order by {{ log_order() }})
)

select
    check_in_id,
    key_result_id,
    user_id,
    checked_in_at,
    recorded_at,
    is_recorded_at_assumed,
    value,
    confidence,
    note,
    is_final,
    logged_at,
    event_id,
    kafka_partition,
    kafka_offset,
    (row_number() over by_log)::integer as version_number,
    lead(recorded_at) over by_log as superseded_at,
    lead(check_in_id) over by_log is null as is_current
from recorded
window by_log as (partition by check_in_id order by {{ log_order() }})
