"""Marts are a pure function of the log: a rebuild gives equal marts, whatever the order of loading."""

import random
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.team import TeamDefined
from lakehouse.publishing.marts_build import prepare_build
from tests.dbt_project.random_log import random_log

PLACE = {"kafka_partition", "kafka_offset"}  # only the position of an event in the log may differ


def _interleaved_otherwise(log: Any, fresh: Any, seed: int) -> Any:
    """The same events with partitions interleaved differently; the order within a subject stays, as in Kafka."""
    dice = random.Random(seed)
    queues: dict[str, list[Any]] = {}
    for event in log.events:
        queues.setdefault(event.subject, []).append(event)
    while queues:
        subject = dice.choice(sorted(queues))
        fresh.merge([queues[subject].pop(0)])
        if not queues[subject]:
            del queues[subject]
    return fresh


def _content(dbt: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all marts without log positions, sorted by their values."""
    return {
        mart: sorted(
            tuple(sorted((k, repr(v)) for k, v in row.items() if k not in PLACE))
            for row in dbt.rows(f"select * from {mart}")
        )
        for mart in dbt.marts()
    }


@pytest.fixture(scope="module")
def built(dbt: Any, new_log: Callable[[], Any]) -> tuple[Any, Any, dict[str, list[tuple[Any, ...]]]]:
    log = random_log(new_log(), seed=1)
    log.load(dbt.settings)
    dbt.build()
    return dbt, log, _content(dbt)


def test_rebuilding_gives_equal_marts_row_by_row(built: Any) -> None:
    dbt, _, before = built
    assert len(before) >= 15
    empty = {"fct_alert", "fct_pipeline_run", "fct_prediction", "fct_reviewed_event"}
    assert {mart for mart, rows in before.items() if not rows} == empty
    prepare_build(dbt.settings.require("dsn_transform"), "rebuild")
    dbt.build()
    assert _content(dbt) == before


def test_another_interleaving_of_partitions_gives_equal_marts(built: Any, new_log: Callable[[], Any]) -> None:
    dbt, log, before = built
    _interleaved_otherwise(log, new_log(), seed=2).load(dbt.settings)
    dbt.build()
    after = _content(dbt)
    for mart, rows in before.items():
        assert after[mart] == rows, mart


def test_later_moves_and_endings_change_no_earlier_day(built: Any, new_log: Callable[[], Any]) -> None:
    dbt, log, before = built
    for number in range(0, 40, 3):
        log.key_result(f"kr-{number}", "future", LATER, target=77.0)
    log.add(ObjectiveDefined(objective_id="objective-running", team_id="new", cycle_id="running", title="?"), LATER)
    log.add(TeamDefined(team_id="team", organisation_id="org", name="Renamed"), LATER)
    log.add(KeyResultArchived(key_result_id="kr-1"), LATER)
    log.load(dbt.settings)
    dbt.build()
    after = _content(dbt)
    last_day = max(_day(row) for row in before["fct_key_result_daily"])
    for mart in ("fct_key_result_daily", "fct_user_activity_daily"):
        earlier = [
            [row for row in rows if _day(row) < min(LATER.date(), last_day)] for rows in (before[mart], after[mart])
        ]
        assert earlier[0], mart
        assert earlier[0] == earlier[1], mart


LATER = datetime(2026, 3, 5, 12, tzinfo=UTC)


def _day(row: tuple[tuple[str, str], ...]) -> date:
    return date(*map(int, re.findall(r"\d+", dict(row)["day"])))
