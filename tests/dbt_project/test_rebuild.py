"""Marts are a pure function of the log: built again they are equal, and the order of loading leaves no trace."""

import random
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from lakehouse.contracts.cycle import CycleClosed
from lakehouse.contracts.host_metric import HostMetricSampled
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.page import PageViewed
from lakehouse.contracts.team import TeamArchived, TeamDefined
from lakehouse.contracts.user import UserDeactivated, UserDefined
from lakehouse.publication import prepare_build

PLACE = {"kafka_partition", "kafka_offset"}  # where an event stands in the log, and nothing else, may differ


def _random_log(log: Any, seed: int) -> Any:
    """A log with copies, corrections, late events, re-targetings, orphans and a few hundred floats to sum."""
    dice = random.Random(seed)
    log.organisation()
    for number in range(40):
        cycle, start = dice.choice(
            [("past", datetime(2025, 10, 1, tzinfo=UTC)), ("running", datetime(2026, 1, 1, tzinfo=UTC))]
        )
        name = f"kr-{number}"
        target = dice.uniform(-50, 150)
        log.key_result(name, cycle, target=target, weight=dice.uniform(0.1, 3))
        for _ in range(dice.randrange(6)):
            at = start + timedelta(days=dice.uniform(-2, 60))
            event = log.check_in(
                name,
                dice.uniform(-10, 150),
                at,
                check_in_id=f"{name}-{dice.randrange(5)}",
                confidence=dice.choice([None, dice.random()]),
                user_id="ada",
                log={
                    "logged_at": at + timedelta(seconds=dice.expovariate(1 / 100_000)),
                    "assumed": dice.random() < 0.2,
                },
            )
            if dice.random() < 0.2:
                log.repeat(event)
        if dice.random() < 0.3:
            log.key_result(name, cycle, start + timedelta(days=30), target=target + 10)
        if cycle == "past" and dice.random() < 0.8:
            log.check_in(name, dice.uniform(0, 150), datetime(2026, 1, 1, 9, tzinfo=UTC), is_final=True, confidence=0.5)
    _move_and_end(log, dice)
    for number in range(200):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
        log.add(HostMetricSampled(host="h", metric="m", value=dice.gauss(0, 1e6), unit="x"), at)
        log.add(PageViewed(user_id=f"u{dice.randrange(9)}", page="home"), at)
        if number % 20 == 0:
            user = UserDefined(user_id=f"u{dice.randrange(9)}", name=f"Name {number}", email=f"{number}@example.org")
            log.add(user, at, logged_at=at + timedelta(days=dice.random()))
    return log


def _move_and_end(log: Any, dice: random.Random) -> None:
    """Key results are carried on and archived, an objective changes its team, a team is dissolved, a cycle closed."""
    log.add(TeamDefined(team_id="other", organisation_id="org", name="Team"), datetime(2025, 1, 1, tzinfo=UTC))
    for number in range(40):
        at = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(days=dice.uniform(0, 50))
        if dice.random() < 0.2:
            log.key_result(f"kr-{number}", "running", at, target=dice.uniform(10, 150))
        if dice.random() < 0.2:
            log.add(KeyResultArchived(key_result_id=f"kr-{number}"), at + timedelta(days=dice.uniform(-5, 5)))
    moved = ObjectiveDefined(objective_id="objective-running", team_id="other", cycle_id="running", title="Grow")
    log.add(moved, datetime(2026, 1, 20, tzinfo=UTC))
    log.add(CycleClosed(cycle_id="past"), datetime(2026, 1, 10, tzinfo=UTC))
    log.add(TeamArchived(team_id="other", successor_team_id="team"), datetime(2026, 2, 10, tzinfo=UTC))
    log.add(UserDeactivated(user_id="ada"), datetime(2026, 2, 20, tzinfo=UTC))


def _interleaved_otherwise(log: Any, fresh: Any, seed: int) -> Any:
    """The same events with the partitions mixed differently; within one subject the order stays, as Kafka keeps it."""
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
    """All rows of all marts, without places in the log, in the order of their values."""
    return {
        mart: sorted(
            tuple(sorted((k, repr(v)) for k, v in row.items() if k not in PLACE))
            for row in dbt.rows(f"select * from {mart}")
        )
        for mart in dbt.marts()
    }


@pytest.fixture(scope="module")
def built(dbt: Any, new_log: Callable[[], Any]) -> tuple[Any, Any, dict[str, list[tuple[Any, ...]]]]:
    log = _random_log(new_log(), seed=1)
    log.load(dbt.settings)
    dbt.build()
    return dbt, log, _content(dbt)


def test_built_again_from_nothing_every_mart_is_equal_row_by_row(built: Any) -> None:
    dbt, _, before = built
    assert len(before) >= 15
    empty = {"fct_pipeline_run", "fct_prediction", "fct_reviewed_event"}
    assert {mart for mart, rows in before.items() if not rows} == empty
    prepare_build(dbt.settings.require("dsn_transform"), "rebuild")
    dbt.build()
    assert _content(dbt) == before


def test_events_interleaved_otherwise_across_partitions_give_equal_marts(
    built: Any, new_log: Callable[[], Any]
) -> None:
    dbt, log, before = built
    _interleaved_otherwise(log, new_log(), seed=2).load(dbt.settings)
    dbt.build()
    after = _content(dbt)
    for mart, rows in before.items():
        assert after[mart] == rows, mart


def test_what_moves_and_ends_later_changes_no_earlier_day(built: Any, new_log: Callable[[], Any]) -> None:
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
