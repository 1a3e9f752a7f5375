"""The size of the default organisation and its calendar, on any day of a quarter."""

from datetime import UTC, date, datetime

import pytest

from ingestion.sources.simulator import SCALES, organisation, scale_of
from ingestion.sources.simulator.okrs import draw_okrs
from ingestion.sources.simulator.scale import cycles_until, quarter_of
from ingestion.sources.simulator.timeline import timeline
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.errors import PermanentError


def test_the_default_scale_has_2000_key_results_and_150_000_events_on_a_quarters_first_day() -> None:
    key_results, events = set(), 0
    for fact in timeline(organisation(1, SCALES["default"]), datetime(2026, 10, 1, 0, 5, tzinfo=UTC)):
        events += 1
        if isinstance(fact.data, KeyResultDefined):
            key_results.add(fact.data.key_result_id)

    assert events >= 150_000
    assert len(key_results) >= 2_000


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_teams_names_and_emails_are_unique_and_every_objective_has_key_results(seed: int) -> None:
    simulated = organisation(seed, SCALES["default"])
    objectives, key_results = draw_okrs(simulated, quarter_of(date(2026, 5, 1)))

    assert len({team.name for team in simulated.teams}) == 40
    assert len({user.email for user in simulated.users}) == 300
    assert len({(o.team.index, o.title) for o in objectives}) == len(objectives)
    assert {key_result.objective.id for key_result in key_results} == {objective.id for objective in objectives}
    assert all(abs(k.target - k.baseline) >= 10.0**-k.measure.decimals for k in key_results)


@pytest.mark.parametrize(
    ("day", "name", "start", "end"),
    [
        (date(2026, 12, 31), "2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
        (date(2024, 2, 29), "2024-Q1", date(2024, 1, 1), date(2024, 3, 31)),
        (date(2026, 7, 1), "2026-Q3", date(2026, 7, 1), date(2026, 9, 30)),
    ],
)
def test_quarters_end_on_their_last_day(day: date, name: str, start: date, end: date) -> None:
    cycle = quarter_of(day)
    assert (cycle.name, cycle.start, cycle.end) == (name, start, end)


def test_the_history_spans_new_year() -> None:
    cycles = cycles_until(datetime(2026, 1, 2, tzinfo=UTC))
    assert [cycle.name for cycle in cycles] == ["2024-Q4", "2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2026-Q1"]


def test_an_unknown_scale_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(PermanentError, match="expected one of default, large, small"):
        scale_of("huge")
