"""The state tables: the newest event wins, in whatever order and however often events arrive."""

import random
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest

from ingestion.batch import Span
from ingestion.state import store as state_store
from ingestion.state.store import OffsetsMovedError, StateStore
from lakehouse.connection_limits import Limits
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.organisation import OrganisationDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.contracts.user import UserDefined
from lakehouse.errors import RetryableError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.state.events import LOGGED, STARTED, TOPIC, Connection, apply, check_in, key_result, placed

HISTORY = [
    placed(0, UserDefined(user_id="u", name="Ann", email="a@x.org"), 0, 1),
    placed(1, ObjectiveDefined(objective_id="o", team_id="t", cycle_id="c", title="First"), 0, 2),
    placed(2, key_result(100), 0),
    placed(3, check_in(1, 20), 1),
    placed(4, UserDefined(user_id="v", name="Bob", email="a@x.org"), 1, 1),
    placed(5, check_in(2, 50), 2),
    placed(6, key_result(200, owner="v"), 3),
    placed(7, UserDefined(user_id="u", name="Ann", email="ann@x.org"), 2, 1),
    placed(8, check_in(3, 60), 4),
    placed(8, check_in(3, 80), 5),  # a correction with the same time
    placed(9, ObjectiveDefined(objective_id="o", team_id="t", cycle_id="c", title="Second"), 1, 2),
    placed(10, UserDefined(user_id="v", name="Bob", email="ann@x.org"), 3, 1),
    placed(11, UserDefined(user_id="v", name="Bob", email="bob@x.org"), 4, 1),
]


@pytest.fixture
def loader(fresh_database: Settings) -> Iterator[Connection]:
    with connect(fresh_database.require("dsn_loader"), autocommit=True) as connection:
        yield connection


def apply_in_order(loader: Connection, events: list[dict[str, object]], batch: int) -> None:
    position = 0
    for start in range(0, len(events), batch):
        position = apply(loader, events[start : start + batch], position)


def state(loader: Connection) -> tuple[list[object], list[object]]:
    return (
        loader.execute("SELECT * FROM app.users ORDER BY user_id").fetchall(),
        loader.execute("SELECT * FROM app.okrs ORDER BY okr_id").fetchall(),
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_state_does_not_depend_on_order_and_batching_of_events(seed: int, loader: Connection) -> None:
    chance = random.Random(seed)
    events = [*HISTORY, *chance.sample(HISTORY, 4)]
    if seed:
        chance.shuffle(events)
    position = 0
    while events:
        size = chance.randint(1, 5)
        position = apply(loader, events[:size], position)
        events = events[size:]
    users, _ = state(loader)
    assert [(row[1], row[2]) for row in sorted(users, key=lambda row: row[1])] == [
        ("Ann", "ann@x.org"),
        ("Bob", "bob@x.org"),
    ]
    shown = "SELECT objective, key_result, progress, status, u.name FROM app.okrs JOIN app.users u USING (user_id)"
    assert loader.execute(shown).fetchall() == [("Second", "to 200", Decimal("0.40"), "in_progress", "Bob")]
    created = "SELECT created_at, updated_at FROM app.okrs"
    assert loader.execute(created).fetchall() == [(STARTED + timedelta(minutes=2), STARTED + timedelta(minutes=8))]


def test_a_key_result_is_projected_before_its_objective_and_owner(loader: Connection) -> None:
    apply(loader, [placed(3, check_in(1, 20), 1)], 0)
    assert state(loader) == ([], [])
    apply(loader, [placed(2, key_result(100), 0)], 1)
    shown = "SELECT user_id, objective, progress, status FROM app.okrs"
    assert loader.execute(shown).fetchall() == [(None, None, Decimal("0.20"), "in_progress")]


@pytest.mark.parametrize(("value", "status"), [(70.0, "achieved"), (69.9, "missed")])
def test_a_final_check_in_closes_the_key_result(value: float, status: str, loader: Connection) -> None:
    apply(loader, [placed(2, key_result(100), 0), placed(3, check_in(1, value, final=True), 1)], 0)
    assert loader.execute("SELECT status, is_closed FROM app.okrs").fetchall() == [(status, True)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 1, 2)])
@pytest.mark.parametrize("batch", [1, 4])
def test_later_check_ins_do_not_reopen_a_closed_key_result(
    order: tuple[int, ...], batch: int, loader: Connection
) -> None:
    history = [
        placed(2, key_result(100), 0),
        placed(3, check_in(1, 60, final=True), 1),
        placed(3, check_in(1, 90, final=True), 2),  # a correction of the closing check-in
        placed(4, check_in(2, 10), 3),
    ]
    apply_in_order(loader, [history[each] for each in order], batch)
    shown = "SELECT status, is_closed, last_value, last_check_in_at FROM app.okrs"
    assert loader.execute(shown).fetchall() == [("achieved", True, 90.0, STARTED + timedelta(minutes=3))]


def test_one_uuid_in_two_spellings_is_one_user(loader: Connection) -> None:
    lower = "01978b1c-0000-7000-8000-00000000abcd"
    users = [
        placed(minute, UserDefined(user_id=written, name=written, email=f"{minute}@x.org"), minute)
        for minute, written in enumerate((lower, lower.upper()))
    ]
    apply(loader, users, 0)
    assert loader.execute("SELECT name, email FROM app.users").fetchall() == [(lower.upper(), "1@x.org")]


def test_a_batch_that_does_not_start_at_the_stored_offset_is_rejected(
    loader: Connection,
) -> None:
    store = StateStore(loader, "cluster", "group")
    store.apply(TOPIC, HISTORY[:1], {0: Span(None, 1)})
    for start in (None, 0, 5):
        with pytest.raises(OffsetsMovedError):
            store.apply(TOPIC, HISTORY[1:3], {0: Span(start, 9)})
    assert store.next_offset(TOPIC, 0) == 1
    assert state(loader)[1] == []


def okr(loader: Connection) -> tuple[object, ...]:
    (row,) = loader.execute("SELECT status, is_closed, last_value, last_check_in_at FROM app.okrs").fetchall()
    return row


ORDERS = [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("batch", [1, 4])
def test_correcting_a_closing_check_in_to_an_open_one_reopens_the_key_result(
    order: tuple[int, ...], batch: int, loader: Connection
) -> None:
    history = [
        placed(2, key_result(), 0),
        placed(3, check_in(1, 90, final=True), 1),
        placed(4, check_in(2, 50), 2),
        placed(3, check_in(1, 90), 3),  # corrected: not final
    ]
    apply_in_order(loader, [history[each] for each in order], batch)
    assert okr(loader) == ("in_progress", False, 50.0, STARTED + timedelta(minutes=4))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_check_in_corrected_to_an_earlier_time_leaves_no_trace_at_the_old_time(
    order: tuple[int, ...], batch: int, loader: Connection
) -> None:
    history = [
        placed(2, key_result(), 0),
        placed(5, check_in(1, 10), 1),
        placed(9, check_in(2, 99), 2),
        placed(3, check_in(2, 20), 3),  # six minutes earlier, with another value
    ]
    apply_in_order(loader, [history[each] for each in order], batch)
    assert okr(loader) == ("in_progress", False, 10.0, STARTED + timedelta(minutes=5))
    kept = "SELECT check_in_id, value, checked_in_at, logged_at FROM app.check_ins WHERE check_in_id = 'c2'"
    assert loader.execute(kept).fetchall() == [
        ("c2", 20.0, STARTED + timedelta(minutes=3), LOGGED + timedelta(seconds=3))
    ]


def test_a_duplicate_does_not_override_a_correction_before_it(loader: Connection) -> None:
    first, correction = placed(1, check_in(1, 10), 1), placed(1, check_in(1, 20), 2)
    again = first | {"kafka_offset": 3, "logged_at": LOGGED + timedelta(seconds=3)}
    apply(loader, [placed(0, key_result(), 0), again])
    apply(loader, [correction, first], 2)
    assert okr(loader)[2] == 20.0


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0)])
def test_a_duplicate_in_a_lower_partition_is_still_the_duplicate(
    order: tuple[int, ...], batch: int, loader: Connection
) -> None:
    first, correction = placed(1, check_in(1, 10), 8, 1), placed(1, check_in(1, 20), 9, 1)
    again = first | {"kafka_partition": 0, "kafka_offset": 0, "logged_at": LOGGED + timedelta(hours=1)}
    history = [placed(0, key_result(), 7, 1), first, correction, again]
    apply_in_order(loader, [history[each] for each in order], batch)
    assert okr(loader)[2] == 20.0


def test_a_consumer_gives_up_when_another_one_holds_the_lock(
    fresh_database: Settings, loader: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_store, "LOCK_SECONDS", 1)
    with connect(fresh_database.require("dsn_loader")) as frozen:
        StateStore(frozen, "cluster", "group")._projection.run("lock_group")
        with pytest.raises(RetryableError, match="Another state consumer"):
            apply(loader, HISTORY[:1])
    assert apply(loader, HISTORY[:1]) == 1


def test_a_consumer_frozen_in_its_transaction_does_not_block_others_for_long(
    fresh_database: Settings, loader: Connection
) -> None:
    frozen = connect(fresh_database.require("dsn_loader"), limits=Limits(idle_s=1))
    StateStore(frozen, "cluster", "group")._projection.run("lock_group")
    assert apply(loader, HISTORY[:1]) == 1
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        frozen.execute("SELECT 1")
    frozen.close()


def test_the_reason_of_a_rejected_event_contains_no_row_data(loader: Connection) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation) as refused:
        loader.execute("INSERT INTO app.users (user_id, name, email) VALUES (gen_random_uuid(), 'Bob', 'a@x.org')")
    assert "a@x.org" in str(refused.value)
    reason = state_store._reason(refused.value)
    assert reason.startswith("23502: null value in column")
    assert "a@x.org" not in reason


def test_domain_tables_have_the_newest_definitions(loader: Connection) -> None:
    from datetime import date

    cycle = CycleDefined(
        cycle_id="c", organisation_id="g", name="Q2", starts_on=date(2026, 4, 1), ends_on=date(2026, 6, 30)
    )
    apply(
        loader,
        [
            placed(0, OrganisationDefined(organisation_id="g", name="Old"), 0),
            placed(1, OrganisationDefined(organisation_id="g", name="Group"), 1),
            placed(1, TeamDefined(team_id="t", organisation_id="g", name="Team"), 2),
            placed(1, cycle, 3),
            placed(2, ObjectiveDefined(objective_id="o", team_id="t", cycle_id="c", title="Win"), 4),
            placed(3, key_result(), 5),
        ],
    )
    shown = """
        SELECT organisation.name, team.name, cycle.ends_on, objective.title, key_result.target, key_result.weight
        FROM app.key_results AS key_result
        JOIN app.objectives AS objective USING (objective_id)
        JOIN app.teams AS team USING (team_id)
        JOIN app.cycles AS cycle USING (cycle_id)
        JOIN app.organisations AS organisation ON organisation.organisation_id = team.organisation_id
    """
    assert loader.execute(shown).fetchall() == [("Group", "Team", date(2026, 6, 30), "Win", 100.0, 1.0)]
    assert StateStore(loader, "cluster", "group").cycle_progress() == {"c": 0.0}
    assert loader.execute("SELECT progress, status FROM app.okrs").fetchall() == [(None, "not_started")]


def test_an_event_that_postgresql_rejects_is_recorded_and_does_not_block_others(loader: Connection) -> None:
    """Contracts reject such events, so these are built by hand: text and a number that jsonb cannot store."""
    events = [placed(0, key_result(), 0), *(placed(each, check_in(each, each), each) for each in range(1, 40))]
    events[7]["data"] = events[7]["data"].replace('"c7"', '"c\\u0000"')
    events[21]["data"] = events[21]["data"].replace('"value":21', '"value":1e400')
    apply(loader, events)
    refused = "SELECT kafka_offset, reason FROM app.refused_event ORDER BY kafka_offset"
    found = loader.execute(refused).fetchall()
    assert [offset for offset, _ in found] == [7, 21]
    assert found[0][1] == "22P05: unsupported Unicode escape sequence"
    assert loader.execute("SELECT count(*) FROM app.check_ins").fetchall() == [(37,)]
    assert okr(loader)[2] == 39.0
    assert StateStore(loader, "cluster", "group").next_offset(TOPIC, 0) == 40


def test_an_unknown_field_called_user_id_is_no_activity(loader: Connection) -> None:
    events = [placed(each, key_result(name=f"kr{each}"), each) for each in range(3)]
    for event, user in zip(events, ("5", '{"a":1}', f'"{"x" * 3000}"'), strict=True):
        event["data"] = event["data"][:-1] + f',"user_id":{user}}}'
    apply(loader, [*events, placed(4, check_in(1, 1, user="u"), 4)])
    assert loader.execute("SELECT user_id FROM app.user_activity").fetchall() == []
    recent = StateStore(loader, "cluster", "group").recent(0)
    assert recent.users == {"u": (STARTED + timedelta(minutes=4)).timestamp()}
    assert loader.execute("SELECT count(*) FROM app.refused_event").fetchall() == [(0,)]
