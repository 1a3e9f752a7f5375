"""Send live events: check-ins and page views for the key results of the current cycle, and host metrics."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

from ingestion.contract_validation import EncodedEvent, encode
from ingestion.sources.simulator.check_ins import confidence_of
from ingestion.sources.simulator.messages import Message, MessageKind, Tally
from ingestion.sources.simulator.okrs import KeyResult, draw_okrs
from ingestion.sources.simulator.scale import quarter_of
from ingestion.sources.simulator.teams_and_users import Organisation
from ingestion.sources.simulator.views_and_metrics import PAGE_WEIGHTS, PAGES
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.host_metric import HostMetricSampled
from lakehouse.contracts.page import PageViewed
from lakehouse.errors import PermanentError
from lakehouse.ids import uuid7

CHECK_IN_SHARE = 0.3
VIEW_SHARE = 0.6


def live(organisation: Organisation, *, seconds: float, rate: float, send: Callable[[EncodedEvent], None]) -> Tally:
    """Send `rate` events per second for `seconds`, each with the current time.

    Raises:
        PermanentError: seconds or rate is not positive, or the current cycle has no key result yet.
    """
    if seconds <= 0 or rate <= 0:
        raise PermanentError(f"Expected seconds and rate above 0, got {seconds:g} and {rate:g}.")
    tally = Tally()
    facts = _facts(organisation)
    started = time.monotonic()
    for number in range(max(1, round(seconds * rate))):
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        data = next(facts)
        event = encode(data, at=datetime.now(UTC), source="okr-simulation/live", event_id=uuid7())
        send(event)
        tally.add(Message(event, MessageKind.NEW))
    return tally


def _facts(organisation: Organisation) -> Iterator[msgspec.Struct]:
    rng = organisation.rng("live", time.time_ns())
    while True:
        now = datetime.now(UTC)
        for key_result in _open_key_results(organisation, now):
            draw = rng.random()
            if draw < CHECK_IN_SHARE:
                yield _check_in(organisation, rng, key_result)
            elif draw < CHECK_IN_SHARE + VIEW_SHARE:
                user = rng.choice(organisation.users)
                yield PageViewed(user_id=user.id, page=rng.choices(PAGES, PAGE_WEIGHTS)[0], key_result_id=key_result.id)
            else:
                host = f"okr-host-{rng.randint(1, organisation.scale.hosts)}.example.org"
                yield HostMetricSampled(host=host, metric="cpu_busy", value=round(rng.random(), 4), unit="ratio")


def _open_key_results(organisation: Organisation, now: datetime) -> list[KeyResult]:
    _, key_results = draw_okrs(organisation, quarter_of(now.date()))
    defined = [key_result for key_result in key_results if key_result.defined_at <= now]
    if not defined:
        raise PermanentError("The current cycle started minutes ago and has no key result yet. Try again in an hour.")
    organisation.rng("live order", now).shuffle(defined)
    return defined


def _check_in(organisation: Organisation, rng: Random, key_result: KeyResult) -> CheckInRecorded:
    """Return a check-in with the current progress, interpolated between the values of today and tomorrow."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    path = key_result.process.path
    day = min((now.date() - key_result.objective.cycle.start).days, key_result.process.days)
    today, tomorrow = path[day], path[min(day + 1, key_result.process.days)]
    progress = today + (tomorrow - today) * ((now - midnight) / timedelta(days=1))
    return CheckInRecorded(
        check_in_id=organisation.id_of("check_in", key_result.id, now.isoformat()),
        key_result_id=key_result.id,
        value=key_result.value(progress),
        user_id=key_result.owner.id,
        confidence=confidence_of(rng, key_result, now),
    )
