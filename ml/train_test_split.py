"""Split a history by cycles: forecasts of a cycle may learn only from cycles that ended before it could be read."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import bool_
    from numpy.typing import NDArray


FEWEST_KEY_RESULTS = 20  # in a period, to evaluate a model on it
RECENT = 3  # closed periods to search for a large one


@dataclass(frozen=True, order=True)
class Period:
    """The first and the last day of a cycle. Cycles of several organisations with the same days are one period."""

    start: date
    end: date

    @property
    def usable_from(self) -> datetime:
        """The day after its start: from then on its key results may be read and forecast."""
        return datetime.combine(self.start + timedelta(days=1), time(), tzinfo=UTC)

    def __str__(self) -> str:
        return f"{self.start} to {self.end}"


@dataclass(frozen=True)
class Split:
    """Masks over the rows of a history: the rows to train on and the rows to forecast."""

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
    """Return the closed periods, oldest first: those whose last day is past, or whose key results have all closed.

    Key results that close early are no fair sample of a running cycle, so a period counts only as a whole. A period
    that has not started is not closed, even if all of its key results are.
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
    """Return the closed periods, oldest first, up to the one to evaluate on; an empty list if there is no such period.

    The period to evaluate on is the newest of the last three with labelled check-ins of at least 20 key results.
    Otherwise a tiny cycle of one team would decide on the model of every organisation. If no period has so many, it is
    the newest with any. It is the first period only if there is no other, because training needs an earlier one.
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
    """Return the split of one period: its check-ins to forecast, and the rows known before the first of them.

    Training rows are of cycles that ended before the period started, with outcomes recorded before the first forecast.
    """
    import numpy as np

    periods = periods_of(history)
    test = np.asarray((periods == period) & (history["as_of_kind"] == "check_in"), dtype=bool)
    first = min(history["known_at"][test], default=period.usable_from)
    known = np.array([moment is not None and moment <= first for moment in history["outcome_known_at"]], dtype=bool)
    ended = np.array([other.end <= period.start for other in periods], dtype=bool)
    return Split(period, train=ended & known, test=test)


def everything_closed(history: Rows) -> "NDArray[bool_]":
    """Return a mask of the labelled rows of all closed periods, which the served model is trained on."""
    import numpy as np

    closed = set(closed_periods(history))
    return np.array([period in closed for period in periods_of(history)], dtype=bool) & labelled(history)


def labelled(rows: Rows) -> "NDArray[bool_]":
    """Return a mask of the rows whose key result has an outcome."""
    import numpy as np

    return np.array([outcome is not None for outcome in rows["is_achieved"]], dtype=bool)
