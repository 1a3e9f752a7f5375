"""Simulate check-ins: weekly ones, with gaps and corrections, and a final one that usually closes the key result."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

import msgspec

from ingestion.sources.simulator.facts import Fact, delayed_fact
from ingestion.sources.simulator.latent_progress import true_probability
from ingestion.sources.simulator.okrs import KeyResult
from ingestion.sources.simulator.randomness import working_moment
from ingestion.sources.simulator.teams_and_users import Organisation
from ingestion.sources.simulator.vocabulary import NOTES
from lakehouse.contracts.check_in import CheckInRecorded

# Shares of check-ins or key results, used as probabilities.
MISSES_WHEN_ABANDONED = 0.75
WITHOUT_CONFIDENCE = 0.08
WITH_NOTE = 0.2
CORRECTED = 0.015
NEVER_CLOSED = 0.03
FINAL_NOTE = "final value"


def check_in_facts(organisation: Organisation, key_result: KeyResult) -> Iterator[Fact]:
    """Yield all check-ins of a key result in its cycle."""
    rng = organisation.rng("check_ins", key_result.id)
    for number, at in enumerate(_check_in_times(rng, key_result)):
        data = _weekly(organisation, rng, key_result, number, at)
        if rng.random() < CORRECTED:
            wrong = key_result.value(key_result.process.path[_day(key_result, at)] + rng.gauss(0.0, 0.2))
            first = delayed_fact(rng, f"{data.check_in_id}/0", at, msgspec.structs.replace(data, value=wrong))
            yield first
            noticed_at = first.sent_at + timedelta(hours=6 * rng.lognormvariate(0.0, 1.0), minutes=5)
            yield delayed_fact(rng, f"{data.check_in_id}/1", noticed_at, data)._replace(occurred_at=at)
        else:
            yield delayed_fact(rng, f"{data.check_in_id}/0", at, data)
    if rng.random() >= NEVER_CLOSED:
        yield _closing(organisation, rng, key_result)


def confidence_of(rng: Random, key_result: KeyResult, at: datetime) -> float:
    """Return the confidence that the owner states: damped true log-odds plus the owner's optimism plus noise."""
    truth = true_probability(key_result.process, _day(key_result, at), key_result.threshold(at))
    log_odds = math.log(min(0.98, max(0.02, truth)) / (1.0 - min(0.98, max(0.02, truth))))
    stated = 0.65 * log_odds + key_result.owner.optimism + rng.gauss(0.0, 0.7)
    return round(20.0 / (1.0 + math.exp(-stated))) / 20.0


def _check_in_times(rng: Random, key_result: KeyResult) -> Iterator[datetime]:
    team, cycle = key_result.objective.team, key_result.objective.cycle
    for week in range(cycle.days // 7 + 1):
        day = cycle.start + timedelta(days=7 * week + team.check_in_day + rng.choice((-1, 0, 0, 0, 1)))
        is_abandoned = key_result.process.is_abandoned((day - cycle.start).days)
        if (
            rng.random() >= (MISSES_WHEN_ABANDONED if is_abandoned else team.misses)
            and 3 <= ((day - cycle.start).days) <= cycle.days
        ):
            yield working_moment(rng, day)


def _weekly(
    organisation: Organisation, rng: Random, key_result: KeyResult, number: int, at: datetime
) -> CheckInRecorded:
    return CheckInRecorded(
        check_in_id=organisation.id_of("check_in", key_result.id, number),
        key_result_id=key_result.id,
        value=key_result.value(key_result.process.path[_day(key_result, at)]),
        user_id=key_result.owner.id,
        confidence=None if rng.random() < WITHOUT_CONFIDENCE else confidence_of(rng, key_result, at),
        note=rng.choice(NOTES) if rng.random() < WITH_NOTE else None,
    )


def _closing(organisation: Organisation, rng: Random, key_result: KeyResult) -> Fact:
    day = key_result.objective.cycle.end + timedelta(days=rng.randint(1, 3))
    data = CheckInRecorded(
        check_in_id=organisation.id_of("check_in", key_result.id, "final"),
        key_result_id=key_result.id,
        value=key_result.value(key_result.process.path[-1]),
        user_id=key_result.owner.id,
        note=FINAL_NOTE,
        is_final=True,
    )
    return delayed_fact(rng, f"{data.check_in_id}/0", working_moment(rng, day), data)


def _day(key_result: KeyResult, at: datetime) -> int:
    return min((at.date() - key_result.objective.cycle.start).days, key_result.process.days)
