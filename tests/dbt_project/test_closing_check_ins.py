"""Which cycle a closing check-in closes: marts, state tables and ADR 19 agree on random histories."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import yaml

from lakehouse.contracts.cycle import DAYS_TO_CLOSE, CycleClosed, CycleDefined
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.warehouse import connect
from tests.dbt_project.closing_oracle import (
    CLOSED_MONTHS,
    DEFINED,
    FAMILIES,
    MONTHS,
    SPRINTS,
    YEAR,
    CheckIn,
    History,
    at_random,
    counted,
    stays_of,
)
from tests.dbt_project.conftest import PROJECT
from tests.dbt_project.state_tables import MARTS, STATE, apply_log

AT_RANDOM = 400


def _at(month: int, day: int, hour: int = 9) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def _planned(cycles: list[Any], *days: tuple[int, int], first: int = 0) -> list[tuple[datetime, Any]]:
    return [(DEFINED, cycles[first]), *((_at(*day), cycles[first + n]) for n, day in enumerate(days, start=1))]


# Histories, and the cycles that their closing check-ins close.
HISTORIES = {
    "months": (
        History(
            _planned(MONTHS, (1, 30), (2, 27), (3, 30)), [CheckIn(_at(2, 3)), CheckIn(_at(3, 3)), CheckIn(_at(4, 2))]
        ),
        ["month0", "month1", "month2"],
    ),
    # The last one comes after half of the fourth sprint.
    "sprints": (
        History(
            _planned(SPRINTS, (1, 17), (1, 31), (2, 14)), [CheckIn(_at(1, 20)), CheckIn(_at(2, 4)), CheckIn(_at(2, 24))]
        ),
        ["sprint0", "sprint1", "sprint3"],
    ),
    "closed in time again": (
        History(_planned(MONTHS, (1, 30), (2, 26)), [CheckIn(_at(2, 3)), CheckIn(_at(2, 27)), CheckIn(_at(3, 3))]),
        ["month0", "month1", "month2"],
    ),
    # After the cycle was closed, four days before its end, any check-in closes it.
    "corrected": (
        History(_planned(CLOSED_MONTHS, (2, 28), first=1), [CheckIn(_at(2, 26), is_final=False), CheckIn(_at(3, 3))]),
        ["closed-month1", "closed-month2"],
    ),
    "by way of a wrong cycle": (
        History(
            [(DEFINED, MONTHS[0]), (_at(2, 2), YEAR), (_at(2, 3), MONTHS[1])], [CheckIn(_at(2, 4)), CheckIn(_at(2, 20))]
        ),
        ["month1", "month1"],
    ),
    "archived at its end": (History(_planned(MONTHS, (2, 2)), [CheckIn(_at(2, 3))], _at(1, 28)), ["month1"]),
    "archived after its end": (History(_planned(MONTHS, (2, 3)), [CheckIn(_at(2, 4))], _at(2, 2)), ["month0"]),
    "closed while it was archived": (
        History(
            [(DEFINED, MONTHS[0]), (_at(1, 20), MONTHS[0]), (_at(2, 2), MONTHS[1])],
            [CheckIn(_at(1, 15)), CheckIn(_at(2, 3))],
            _at(1, 14),
        ),
        ["month0"],
    ),
}


@pytest.fixture(scope="module")
def histories() -> dict[str, History]:
    dice = random.Random(19)
    written = {name: history for name, (history, _) in HISTORIES.items()}
    return written | {f"random-{number}": at_random(dice) for number in range(AT_RANDOM)}


@pytest.fixture(scope="module")
def log(new_log: Callable[[], Any], histories: dict[str, History]) -> Any:
    log = new_log()
    log.organisation()
    for cycle in (YEAR, *(cycle for family in FAMILIES for cycle in family)):
        defined = CycleDefined(
            cycle_id=cycle.name, organisation_id="org", name=cycle.name, starts_on=cycle.start, ends_on=cycle.end
        )
        log.add(defined, DEFINED)
        if cycle.closed_at:
            log.add(CycleClosed(cycle_id=cycle.name), cycle.closed_at)
        objective = ObjectiveDefined(objective_id=f"of-{cycle.name}", team_id="team", cycle_id=cycle.name, title="t")
        log.add(objective, DEFINED)
    for name, history in histories.items():
        for number, (at, cycle) in enumerate(history.moves):
            log.key_result(name, at=at, objective_id=f"of-{cycle.name}", title=f"title {number}")
        for number, sent in enumerate(history.check_ins):
            log.check_in(name, number, sent.at, check_in_id=f"{name}-{number}", is_final=sent.is_final)
        if history.archived_at:
            log.add(KeyResultArchived(key_result_id=name), history.archived_at)
    return log


@pytest.fixture(scope="module")
def marts(dbt: Any, log: Any) -> Any:
    log.load(dbt.settings)
    dbt.run("run", "--select", "+int_key_result_cycle")
    return dbt


@pytest.fixture(scope="module")
def state(marts: Any, log: Any) -> Iterator[psycopg.Connection[Any]]:
    with connect(marts.settings.require("dsn_loader"), autocommit=True) as loader:
        apply_log(loader, log.events)
        yield loader


@pytest.mark.parametrize("name", HISTORIES)
def test_each_closing_check_in_closes_its_cycle(marts: Any, name: str) -> None:
    query = "select cycle_id from int_check_in where key_result_id = %s and is_closing order by checked_in_at"
    assert [row["cycle_id"] for row in marts.rows(query, name)] == HISTORIES[name][1]


def test_marts_attribute_each_check_in_of_a_random_history_to_its_cycle(
    marts: Any, histories: dict[str, History]
) -> None:
    rows = marts.rows("select key_result_id, checked_in_at, cycle_id, is_closing from int_check_in")
    found = {(row["key_result_id"], row["checked_in_at"]): (row["cycle_id"], row["is_closing"]) for row in rows}
    assert found == {(name, at): cycle for name, history in histories.items() for at, cycle in counted(history).items()}


def test_state_tables_apply_the_closings_of_a_random_history(
    state: psycopg.Connection[Any], histories: dict[str, History]
) -> None:
    closed: dict[tuple[str, str], datetime] = {}
    for name, history in histories.items():
        for at, (cycle, is_closing) in counted(history).items():
            if is_closing:
                closed[name, cycle] = max(at, closed.get((name, cycle), at))
    query = "SELECT key_result_id, cycle_id, closed_at FROM app.key_result_cycles WHERE is_closed_by_check_in"
    assert {(name, cycle): at for name, cycle, at in state.execute(query).fetchall()} == closed


def test_state_tables_and_marts_agree_on_a_random_history(state: psycopg.Connection[Any], marts: Any) -> None:
    assert state.execute(STATE).fetchall() == [tuple(row.values()) for row in marts.rows(MARTS)]


def test_random_histories_include_repeated_late_closings(histories: dict[str, History]) -> None:
    """Check of the generator: it draws late closings in consecutive cycles and closings within their own cycles."""
    late = [
        sum(cycle != _where(history, at) for at, (cycle, is_closing) in counted(history).items() if is_closing)
        for history in histories.values()
    ]
    assert sum(each >= 3 for each in late) > 10
    assert sum(each == 0 for each in late) > 20


def _where(history: History, at: datetime) -> str:
    return next(stay.cycle.name for stay in stays_of(history) if stay.from_at <= at < stay.to_at)


def test_dbt_and_python_use_the_same_days_to_close() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    assert project["vars"]["days_to_close"] == DAYS_TO_CLOSE
