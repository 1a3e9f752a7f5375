"""Splits follow cycles: a forecast of a cycle may learn only from what had ended when the cycle could first be read."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import bool_
    from numpy.typing import NDArray


FEWEST_KEY_RESULTS = 20  # of a period, to evaluate a model on it
RECENT = 3  # closed periods among which a large one is looked for


@dataclass(frozen=True, order=True)
class Period:
    """First and last day of a cycle; cycles of several organisations with the same days are one period."""

    start: date
    end: date

    @property
    def usable_from(self) -> datetime:
        """The day after its start: from then on its key results may be read, and forecast."""
        return datetime.combine(self.start + timedelta(days=1), time(), tzinfo=UTC)

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"


@dataclass(frozen=True)
class Split:
    """Masks over the rows of a history: what a period's forecasts may learn from, and the rows to forecast."""

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
    """Return the periods that are over, oldest first: past their last day at the end of the log, or all closed.

    Early closers of a running cycle are no fair sample of it, so a period counts only as a whole. One that has not
    begun is not over, even if all of its few key results are closed already.
    """
    if not len(history):
        return []
    periods = periods_of(history)
    moments = [*history["known_at"], *history["outcome_known_at"]]
    last_day = max(moment for moment in moments if moment is not None).date()
    is_closed = labelled(history)
    still_open, ended = set(periods[~is_closed]), set(periods[is_closed])
    return sorted(
        period for period in ended if last_day > period.end or (period not in still_open and last_day >= period.start)
    )


def evaluable_periods(history: Rows) -> list[Period]:
    """Return the closed periods, oldest first, up to the one to evaluate on; none where there is none.

    That is the newest of the last three with labelled check-ins of at least 20 key results: a tiny cycle of one team
    would otherwise decide for every organisation's model. Where none has so many, it is the newest with any. It is
    never the first of several: there must be something to learn from.
    """
    closed = closed_periods(history)
    counts = _evaluable_key_results(history)
    candidates = closed[1:] or closed
    large = [period for period in candidates[-RECENT:] if counts.get(period, 0) >= FEWEST_KEY_RESULTS]
    found = large or [period for period in candidates if counts.get(period, 0)]
    return closed[: closed.index(found[-1]) + 1] if found else []


def tuning_period(history: Rows) -> Period | None:
    """Return the period to choose hyperparameters on: the newest large one before the held-out one, never the first."""
    counts = _evaluable_key_results(history)
    large = [period for period in evaluable_periods(history)[1:-1] if counts.get(period, 0) >= FEWEST_KEY_RESULTS]
    return large[-1] if large else None


def _evaluable_key_results(history: Rows) -> dict[Period, int]:
    """Return how many key results of each period have a check-in and an outcome."""
    import numpy as np

    is_evaluable = labelled(history) & np.asarray(history["as_of_kind"] == "check_in", dtype=bool)
    pairs = set(zip(periods_of(history)[is_evaluable], history["key_result"][is_evaluable], strict=True))
    return Counter(period for period, _ in pairs)


def split_at(history: Rows, period: Period) -> Split:
    """Return the split of one period: its check-ins, and what was known when the first of them could be forecast.

    To learn from: rows of cycles that ended before the period began, if their outcome was recorded by then.
    """
    import numpy as np

    periods = periods_of(history)
    test = np.asarray((periods == period) & (history["as_of_kind"] == "check_in"), dtype=bool)
    first = min(history["known_at"][test], default=period.usable_from)
    known = np.array([moment is not None and moment <= first for moment in history["outcome_known_at"]], dtype=bool)
    ended = np.array([other.end <= period.start for other in periods], dtype=bool)
    return Split(period, train=ended & known, test=test)


def everything_closed(history: Rows) -> "NDArray[bool_]":
    """Return the rows of all closed periods whose outcome is known: what the served model learns from."""
    import numpy as np

    closed = set(closed_periods(history))
    return np.array([period in closed for period in periods_of(history)], dtype=bool) & labelled(history)


def labelled(rows: Rows) -> "NDArray[bool_]":
    """Return which rows' key results have closed."""
    import numpy as np

    return np.array([outcome is not None for outcome in rows["is_achieved"]], dtype=bool)
