"""Simulate the page views of users and the metrics of hosts, day by day."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from ingestion.sources.simulator.facts import Fact, delayed_fact, immediate_fact
from ingestion.sources.simulator.okrs import KeyResult
from ingestion.sources.simulator.teams_and_users import Organisation, User
from lakehouse.contracts.host_metric import HostMetricSampled
from lakehouse.contracts.page import PageViewed

PAGES = ("scorecard", "key_result", "objectives", "check_in_form", "team", "help")
PAGE_WEIGHTS = (30, 35, 14, 12, 7, 2)
WEEKEND_SHARE = 0.06
GIBIBYTE = 2.0**30


def page_views(
    organisation: Organisation, day: date, key_results_by_team: dict[int, list[KeyResult]]
) -> Iterator[Fact]:
    """Yield the page views of a day. `key_results_by_team` maps each team to its key results in the cycle."""
    rng = organisation.rng("views", day)
    share = WEEKEND_SHARE if day.weekday() >= 5 else 1.0
    for user in organisation.users:
        mean = user.views * share
        number = 0
        while rng.random() < mean / (1.0 + mean):
            at = datetime.combine(day, time(6), tzinfo=UTC) + timedelta(milliseconds=rng.randrange(14 * 3_600_000))
            page = rng.choices(PAGES, PAGE_WEIGHTS)[0]
            key_result_id = (
                rng.choice(key_results_by_team[user.home_team]).id if page in {"key_result", "check_in_form"} else None
            )
            yield delayed_fact(rng, f"{user.id}/{day}/{number}", at, _view(user, page, key_result_id))
            number += 1


def host_metrics(organisation: Organisation, day: date) -> Iterator[Fact]:
    """Yield the metrics of each host for a day: the CPU's busy ratio, and the memory and disk space used."""
    rng = organisation.rng("hosts", day)
    midnight = datetime.combine(day, time(), tzinfo=UTC)
    for index in range(organisation.scale.hosts):
        host = f"okr-host-{index + 1}.example.org"
        for hour in range(0, 24, organisation.scale.host_every_hours):
            at = midnight + timedelta(hours=hour, seconds=index)
            for metric, value, unit in _samples(rng.random(), index, day, hour):
                data = HostMetricSampled(host=host, metric=metric, value=value, unit=unit)
                yield immediate_fact(rng, f"{host}/{metric}/{at.isoformat()}", at, data)


def _view(user: User, page: str, key_result_id: str | None) -> PageViewed:
    return PageViewed(user_id=user.id, page=page, key_result_id=key_result_id)


def _samples(noise: float, index: int, day: date, hour: int) -> Iterator[tuple[str, float, str]]:
    work = 0.0 if day.weekday() >= 5 else max(0.0, math.sin((hour - 6) / 24 * 2 * math.pi))
    busy = min(1.0, 0.08 + 0.02 * index + 0.5 * work + 0.25 * noise)
    yield "cpu_busy", round(busy, 4), "ratio"
    yield "memory_used", round((3.0 + 2.5 * busy + index) * GIBIBYTE), "bytes"
    # The disk fills slowly and is cleaned every 120 days.
    yield "disk_used", round((40.0 + 0.4 * (day.toordinal() % 120) + noise) * GIBIBYTE), "bytes"
