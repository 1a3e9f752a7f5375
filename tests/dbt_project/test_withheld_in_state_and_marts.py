"""State tables and marts withhold the same events of a random log for the same reasons and accept their corrections."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.warehouse import connect
from tests.ingestion.state.events import Row, apply, placed
from tests.ingestion.state.random_logs import TWO_ORGANISATIONS, logs

LOADED = """
INSERT INTO raw.okr_user_events (
    kafka_partition, kafka_offset, logged_at, event_id, event_type, source, subject, occurred_at, recorded_at,
    recorded_at_assumed, data
)
VALUES (
    %(kafka_partition)s, %(kafka_offset)s, %(logged_at)s, %(event_id)s, %(event_type)s, 'test', %(subject)s,
    %(occurred_at)s, %(logged_at)s, false, %(data)s
)
"""


@pytest.fixture(scope="module")
def conflicts(dbt: Any) -> bytes:
    """Return dbt's query for intermediate.int_identity_conflict."""
    dbt.run("compile", "--select=int_identity_conflict int_withheld_event")
    return compiled(dbt, "int_identity_conflict")


@pytest.fixture(scope="module")
def withheld(dbt: Any, conflicts: bytes) -> bytes:
    """Return dbt's query for intermediate.int_withheld_event, with that of the table before it inlined."""
    query = compiled(dbt, "int_withheld_event")
    table = re.search(rb"\S*int_identity_conflict\S*", query)
    assert table is not None
    return query.replace(table[0], b"(%b)" % conflicts)


def compiled(dbt: Any, model: str) -> bytes:
    # Unit tests compile their inputs to files of the same name, in folders named after the .yml file.
    found = Path(dbt.target).rglob(f"compiled/**/{model}.sql")
    (path,) = (file for file in found if file.parent.suffix != ".yml")
    return path.read_bytes()


@pytest.fixture(scope="module")
def loader(dbt: Any) -> Iterator[psycopg.Connection[Any]]:
    with connect(dbt.settings.require("dsn_loader"), autocommit=True) as connection:
        yield connection


def sentences(text: str) -> set[str]:
    return set(re.findall(r"([^.]+)\.\s*", text))


Decisions = Mapping[str, str]
KEPT = "SELECT event_id, withheld_because FROM app.event WHERE withheld_because IS NOT NULL"


class Both:
    """The same log in state tables and raw, and the events that either withholds."""

    def __init__(self, settings: Any, loader: psycopg.Connection[Any], conflicts: bytes, withheld: bytes) -> None:
        self._settings, self._loader = settings, loader
        self._conflicts, self._withheld = conflicts, withheld

    def say(
        self, log: list[Row], decisions: Decisions | None = None, rule: str = "other_organisation"
    ) -> dict[str, str]:
        """Return the reasons of the withheld events; fail if state tables and marts disagree."""
        decisions = decisions or {}
        with connect(self._settings.require("dsn_owner")) as owner:
            owner.execute("DELETE FROM ops.event_review")
            owner.cursor().executemany(
                "INSERT INTO ops.event_review (event_id, rule, decision, decided_by) VALUES (%s, %s, %s, 'test')",
                [(event_id, rule, decision) for event_id, decision in decisions.items()],
            )
        for table in ("raw.okr_user_events", "app.consumer_offset", "app.event"):
            self._loader.execute(f"DELETE FROM {table}".encode())
        self._loader.cursor().executemany(LOADED, log)
        apply(self._loader, log)
        state = {str(event_id): reason for event_id, reason in self._loader.execute(KEPT).fetchall()}
        with connect(self._settings.require("dsn_transform")) as transform:
            reasons: dict[str, list[str]] = {}
            for event_id, found_by, reason in transform.execute(self._conflicts).fetchall():
                if decisions.get(str(event_id)) != "release" or found_by != rule:
                    reasons.setdefault(str(event_id), []).append(reason)
            counts_not = {str(event_id) for (event_id,) in transform.execute(self._withheld).fetchall()}
        assert state.keys() == counts_not
        operator = "An operator withheld it."
        for event_id, because in state.items():
            assert sentences(" ".join(reasons.get(event_id, []))) == sentences(because) - {operator[:-1]}
        return state


@pytest.fixture(scope="module")
def both(dbt: Any, loader: psycopg.Connection[Any], conflicts: bytes, withheld: bytes) -> Both:
    return Both(dbt.settings, loader, conflicts, withheld)


@st.composite
def decided_logs(draw: st.DrawFn) -> tuple[list[Row], Decisions, str]:
    """A log, and an operator's decisions on some of its events."""
    log = draw(logs())
    ids = sorted({row["event_id"] for row in log})
    decisions = draw(st.dictionaries(st.sampled_from(ids), st.sampled_from(("release", "withhold")), max_size=3))
    return log, decisions, draw(st.sampled_from(("other_organisation", "other_key_result")))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(decided=decided_logs())
def test_state_tables_and_marts_withhold_the_same_events_of_a_random_log(
    both: Both, decided: tuple[list[Row], Decisions, str]
) -> None:
    log, _, _ = decided
    assert both.say(*decided).keys() <= {str(row["event_id"]) for row in log}


def roots() -> list[Row]:
    """Organisations g and h; of each a team, a cycle, a user, an objective, a key result and a check-in."""
    return [placed(0, fact, offset) for offset, fact in enumerate(TWO_ORGANISATIONS)]


REPAIRS = {
    "a check-in of another organisation's key result": (
        CheckInRecorded(check_in_id="new", key_result_id="kr1", value=5.0, user_id="u0"),
        CheckInRecorded(check_in_id="new", key_result_id="kr0", value=5.0, user_id="u0"),
    ),
    "a check-in that says another organisation": (
        CheckInRecorded(check_in_id="new", key_result_id="kr1", value=5.0, organisation_id="g"),
        CheckInRecorded(check_in_id="new", key_result_id="kr0", value=5.0, organisation_id="g"),
    ),
    "an objective of another organisation's team": (
        ObjectiveDefined(objective_id="new", team_id="t1", cycle_id="c0", title="t"),
        ObjectiveDefined(objective_id="new", team_id="t0", cycle_id="c0", title="t"),
    ),
    "an objective of another organisation's cycle": (
        ObjectiveDefined(objective_id="new", team_id="t0", cycle_id="c1", title="t"),
        ObjectiveDefined(objective_id="new", team_id="t0", cycle_id="c0", title="t"),
    ),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_a_withheld_event_does_not_assign_an_id_so_its_correction_counts(both: Both, name: str) -> None:
    slip, repair = (placed(30 + each, fact, 30 + each) for each, fact in enumerate(REPAIRS[name]))
    assert both.say([*roots(), slip, repair]).keys() == {slip["event_id"]}


def test_an_event_withheld_by_an_operator_does_not_assign_an_id(both: Both) -> None:
    slip, repair = (
        placed(30 + each, TeamDefined(team_id="new", organisation_id=organisation, name="t"), 30 + each)
        for each, organisation in enumerate("gh")
    )
    assert both.say([*roots(), slip, repair]).keys() == {repair["event_id"]}
    assert both.say([*roots(), slip, repair], {slip["event_id"]: "withhold"}).keys() == {slip["event_id"]}


def test_an_event_released_by_an_operator_assigns_an_id(both: Both) -> None:
    slip, repair = (placed(30 + each, fact, 30 + each) for each, fact in enumerate(next(iter(REPAIRS.values()))))
    assert both.say([*roots(), slip, repair], {slip["event_id"]: "release"}).keys() == {repair["event_id"]}
