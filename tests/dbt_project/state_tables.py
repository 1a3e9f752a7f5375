"""The state tables built from the same log as the marts, and one query for both."""

from typing import Any

import psycopg

from ingestion.batch import Span
from ingestion.state.store import StateStore

STATE = """
    SELECT key_result_id, cycle_id, team_id, objective_id, target, is_current, is_archived, archived_at,
        is_closed, closed_at, least(greatest(CASE WHEN is_closed THEN progress END, 0), 1)
    FROM app.key_result_cycles ORDER BY key_result_id, cycle_id
"""
MARTS = """
    select key_result_id, cycle_id, team_id, objective_id, target, is_current_cycle, is_archived, archived_at,
        is_closed, final_at, case when is_closed then final_score else 0 end as score
    from int_key_result_cycle order by key_result_id, cycle_id
"""


def apply_log(loader: psycopg.Connection[Any], events: Any) -> StateStore:
    """Apply further events of a handwritten log in this order."""
    rows = [
        {
            "event_type": event.event_type,
            "subject": event.subject,
            "event_id": str(event.event_id),
            "occurred_at": event.occurred_at,
            "logged_at": event.logged_at,
            "kafka_partition": event.partition,
            "kafka_offset": event.offset,
            "data": event.data.decode(),
        }
        for event in events
    ]
    store = StateStore(loader, "cluster", "group")
    start = store.next_offset("okr_user_events", 0)
    store.apply("okr_user_events", rows, {0: Span(start, (start or 0) + len(rows))})
    return store


def assert_state_says_what_marts_say(loader: psycopg.Connection[Any], marts: Any) -> None:
    """Compare key results by cycle, users by id, and withheld events with their reasons."""
    assert loader.execute(STATE).fetchall() == [tuple(row.values()) for row in marts.rows(MARTS)]
    assert loader.execute("SELECT source_user_id, name, team_id FROM app.users ORDER BY 1").fetchall() == [
        tuple(row.values())
        for row in marts.rows("select user_id, name, team_id from dim_user where is_current order by 1")
    ]
    check_ins = "SELECT check_in_id, key_result_id, value FROM {} ORDER BY 1"
    assert loader.execute(check_ins.format("app.check_ins").encode()).fetchall() == [
        tuple(row.values()) for row in marts.rows(check_ins.format("fct_check_in"))
    ]
    withheld = "SELECT event_id FROM app.event WHERE withheld_because IS NOT NULL ORDER BY 1"
    followed = "select event_id from int_withheld_event where event_id not in "
    followed += "(select event_id from raw.okr_user_events where event_type = 'okr.comment.posted.v1') order by 1"
    assert loader.execute(withheld).fetchall() == [tuple(row.values()) for row in marts.rows(followed)]
