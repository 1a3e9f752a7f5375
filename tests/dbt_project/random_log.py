"""A random log: duplicates, corrections, late events, new targets, moves, endings, orphans, floats to sum."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.contracts.cycle import CycleClosed
from lakehouse.contracts.host_metric import HostMetricSampled
from lakehouse.contracts.key_result import KeyResultArchived
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.page import PageViewed
from lakehouse.contracts.team import TeamArchived, TeamDefined
from lakehouse.contracts.user import UserDeactivated, UserDefined


def random_log(log: Any, seed: int) -> Any:
    """A log with duplicates, corrections, late events, new targets, orphans and a few hundred floats to sum."""
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
    """Key results are carried over and archived, an objective changes its team, a team is dissolved, a cycle closed."""
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
