"""Split a history by cycle. A model that forecasts a cycle is trained only on cycles that had ended by its first day.

A cycle that ends on that day is used, because no forecast is made before the first day of a cycle is over.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import bool_
    from numpy.typing import NDArray


MIN_KEY_RESULTS = 20  # minimum number of key results in a period for evaluation
RECENT_PERIODS = 3  # number of the newest closed periods that are searched for a large one


@dataclass(frozen=True, order=True)
class Period:
    """The first and last day of a cycle. Cycles of different organisations with the same days form one period."""

    start: date
    end: date

    @property
    def usable_from(self) -> datetime:
        """The start of the second day, from which the period's data may be used for forecasts."""
        return datetime.combine(self.start + timedelta(days=1), time(), tzinfo=UTC)

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"


@dataclass(frozen=True)
class Split:
    """Masks over the rows of a history, which select the rows to train on and the rows to forecast."""

    period: Period
    train: "NDArray[bool_]"
    test: "NDArray[bool_]"


def periods_of(history: Rows) -> "NDArray[Any]":
    """Return each row's Period."""
    import numpy as np

    periods = np.empty(len(history), dtype=object)
    periods[:] = [Period(*days) for days in zip(history["period_start"], history["period_end"], strict=True)]
    return periods


def closed_periods(history: Rows) -> list[Period]:
    """Return the closed periods, oldest first. A period closes when its last day is over or all key results are closed.

    Key results that close early are not a representative sample of their cycle, so a period is used only as a whole. A
    period that has not started is not closed, even if all of its key results are closed.
    """
    if not len(history):
        return []
    periods = periods_of(history)
    moments = [*history["known_at"], *history["outcome_known_at"]]
    last_day = max(moment for moment in moments if moment is not None).date()
    is_closed = labelled(history)
    open_periods, periods_with_outcomes = set(periods[~is_closed]), set(periods[is_closed])
    return sorted(
        period
        for period in periods_with_outcomes
        if last_day > period.end or (period not in open_periods and last_day >= period.start)
    )


def evaluable_periods(history: Rows) -> list[Period]:
    """Return the closed periods, oldest first, up to and including the held-out period; empty if there is none.

    A period is large if at least 20 of its key results have labelled check-ins. Of the last three closed periods, the
    newest large one is held out. Without this minimum, a small cycle of a single team could decide which model serves
    all organisations. If none of the three is large, the newest period with any labelled check-in is held out. The
    first period is held out only if there is no other, because training needs an earlier period.
    """
    closed = closed_periods(history)
    counts = _evaluable_key_results(history)
    candidates = closed[1:] or closed
    large = [period for period in candidates[-RECENT_PERIODS:] if counts.get(period, 0) >= MIN_KEY_RESULTS]
    found = large or [period for period in candidates if counts.get(period, 0)]
    return closed[: closed.index(found[-1]) + 1] if found else []


def tuning_period(history: Rows) -> Period | None:
    """Return the period for tuning: the newest large period before the held-out one, excluding the first period."""
    counts = _evaluable_key_results(history)
    large = [period for period in evaluable_periods(history)[1:-1] if counts.get(period, 0) >= MIN_KEY_RESULTS]
    return large[-1] if large else None


def _evaluable_key_results(history: Rows) -> dict[Period, int]:
    """Return the number of key results with a check-in and an outcome, by period."""
    import numpy as np

    is_evaluable = labelled(history) & np.asarray(history["as_of_kind"] == "check_in", dtype=bool)
    pairs = set(zip(periods_of(history)[is_evaluable], history["key_result"][is_evaluable], strict=True))
    return Counter(period for period, _ in pairs)


def split_at(history: Rows, period: Period) -> Split:
    """Split a history at a period, whose check-ins become the test rows.

    The training rows are from cycles whose last day is not later than the period's first day, and their outcomes were
    known by the period's first check-in.
    """
    import numpy as np

    periods = periods_of(history)
    test = np.asarray((periods == period) & (history["as_of_kind"] == "check_in"), dtype=bool)
    first = min(history["known_at"][test], default=period.usable_from)
    known = np.array([moment is not None and moment <= first for moment in history["outcome_known_at"]], dtype=bool)
    ended = np.array([other.end <= period.start for other in periods], dtype=bool)
    return Split(period, train=ended & known, test=test)


def everything_closed(history: Rows) -> "NDArray[bool_]":
    """Return a mask of the labelled rows of all closed periods, on which the served model is trained."""
    import numpy as np

    closed = set(closed_periods(history))
    return np.array([period in closed for period in periods_of(history)], dtype=bool) & labelled(history)


def labelled(rows: Rows) -> "NDArray[bool_]":
    """Return a mask of the rows whose key result has an outcome."""
    import numpy as np

    return np.array([outcome is not None for outcome in rows["is_achieved"]], dtype=bool)
