"""Yield all facts of the simulated history, day by day, in the order in which they are sent."""

import heapq
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from ingestion.sources.simulator.check_ins import check_in_facts
from ingestion.sources.simulator.definitions import CYCLE_DAYS_BEFORE, DAYS_BEFORE, cycle_facts, founding_facts
from ingestion.sources.simulator.facts import Fact
from ingestion.sources.simulator.okrs import KeyResult, draw_okrs
from ingestion.sources.simulator.scale import Cycle, cycles_until
from ingestion.sources.simulator.teams_and_users import Organisation
from ingestion.sources.simulator.views_and_metrics import host_metrics, page_views

ONE_DAY = timedelta(days=1)


def timeline(organisation: Organisation, as_of: datetime) -> Iterator[Fact]:
    """Yield every fact sent by `as_of`. Only unsent facts and the key results of at most two cycles are in memory."""
    cycles = cycles_until(as_of)
    waiting: list[Fact] = list(founding_facts(organisation, cycles[0]))
    heapq.heapify(waiting)
    key_results_by_team: dict[int, list[KeyResult]] = {}
    planned: dict[str, list[KeyResult]] = {}
    day = cycles[0].start - timedelta(days=DAYS_BEFORE)
    while day <= as_of.date():
        for cycle in cycles:
            if day == cycle.start - timedelta(days=CYCLE_DAYS_BEFORE):
                planned[cycle.name] = _plan(organisation, cycle, waiting)
            if day == cycle.start:
                key_results_by_team = _by_team(planned.pop(cycle.name))
        for fact in _daily(organisation, day, key_results_by_team):
            heapq.heappush(waiting, fact)
        midnight = datetime.combine(day + ONE_DAY, time(), tzinfo=UTC)
        while waiting and waiting[0].sent_at < midnight:
            fact = heapq.heappop(waiting)
            if fact.sent_at > as_of:
                return
            yield fact
        day += ONE_DAY


def _plan(organisation: Organisation, cycle: Cycle, waiting: list[Fact]) -> list[KeyResult]:
    objectives, key_results = draw_okrs(organisation, cycle)
    for fact in cycle_facts(organisation, cycle, objectives, key_results):
        heapq.heappush(waiting, fact)
    for key_result in key_results:
        for fact in check_in_facts(organisation, key_result):
            heapq.heappush(waiting, fact)
    return key_results


def _by_team(key_results: list[KeyResult]) -> dict[int, list[KeyResult]]:
    found: dict[int, list[KeyResult]] = {}
    for key_result in key_results:
        found.setdefault(key_result.objective.team.index, []).append(key_result)
    return found


def _daily(organisation: Organisation, day: date, key_results_by_team: dict[int, list[KeyResult]]) -> Iterator[Fact]:
    yield from host_metrics(organisation, day)
    if key_results_by_team:
        yield from page_views(organisation, day, key_results_by_team)
