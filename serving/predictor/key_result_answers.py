"""What `/predict` answers for a key result: a forecast, or the reason why there is none. Both can be cached."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from serving.publication_reader import Row
from serving.status_explanations import NoForecastStatus, why_no_forecast

RUNNING = frozenset({"on_track", "at_risk", "off_track", "no_check_in"})  # statuses of key results that are forecast
KeyResultCycle = tuple[str, str | None]  # the ids of a key result and a cycle


class CachedForecast(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """A model's output for one key result in one cycle. `as_of` and `known_at` describe its features."""

    as_of: datetime
    known_at: datetime | None
    cycle_id: str | None
    team_id: str | None
    output: dict[str, Any]
    reasons: tuple[str, ...] = ()
    contributions: dict[str, float] = {}
    margin: float | None = None

    @property
    def probability(self) -> float:
        """P(final score >= 0.7)."""
        return float(self.output["probability"])

    @property
    def low(self) -> float:
        """The lower end of the interval of the final score (0-1)."""
        return float(self.output["low"])

    @property
    def high(self) -> float:
        """The upper end of the interval of the final score (0-1)."""
        return float(self.output["high"])


class NoForecast(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """The reason why a key result has no forecast, with the outcome if it is closed."""

    key_result_id: str
    status: NoForecastStatus
    detail: str
    final_score: float | None = None
    is_achieved: bool | None = None


Answer = CachedForecast | NoForecast


class CurrentForecasts(msgspec.Struct, frozen=True):
    """The answers for all key results of a publication by one version.

    `answers` contains each key result in its current cycle. `in_other_cycles` contains the forecasts of key results
    that are still running in a cycle that they have left, as (key result id, cycle id, forecast).
    """

    answers: dict[str, Answer]
    in_other_cycles: list[tuple[str, str | None, CachedForecast]] = []

    def by_key_result_cycle(self) -> dict[KeyResultCycle, CachedForecast]:
        """Return the forecasts of all running key results, by key result and cycle."""
        current: dict[KeyResultCycle, CachedForecast] = {
            (key_result_id, answer.cycle_id): answer
            for key_result_id, answer in self.answers.items()
            if isinstance(answer, CachedForecast)
        }
        return current | {(key_result_id, cycle): each for key_result_id, cycle, each in self.in_other_cycles}


def no_forecast(key_result_id: str, known: Mapping[str, Any] | None) -> NoForecast:
    """Return why a key result has no forecast. `known` is its row of key_results.sql, or None if it is unknown."""
    row: Row | None = None if known is None else dict(known)
    status, detail = why_no_forecast(row)
    final_score, is_achieved = (row["final_score"], row["is_achieved"]) if row else (None, None)
    return NoForecast(key_result_id, status, detail, final_score, is_achieved)
