"""The content of the scorecard and key result pages: rows of the marts joined with forecasts. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from lakehouse.achieved_score import TOLERANCE
from serving.models.loaded_version import LoadedVersion
from serving.predictor.key_result_answers import RUNNING, CachedForecast, KeyResultCycle
from serving.publication_reader import Publication, Row
from serving.web.charts import Interval, Sparkline, Trajectory, interval, sparkline

EVEN_ODDS = 0.5  # below this probability, a miss is more likely than not
SHOWN, MAX_SHOWN = 12, 500  # rows per list: default and maximum
UNDECIDED = (0.3, 0.7)
Forecasts = Mapping[KeyResultCycle, CachedForecast]
TONES = ((0.5, "bad"), (0.75, "warn"), (1.01, "good"))


@dataclass(frozen=True)
class Line:
    """A key result in a list, with its row of mart_okr_scorecard, its forecast and its charts."""

    row: Row
    forecast: CachedForecast
    spark: Sparkline
    interval: Interval
    days_left: int

    @property
    def tone(self) -> str:
        """The colour of the probability: bad, warn or good."""
        return tone(self.forecast.probability)

    @property
    def came_true(self) -> bool | None:
        """Whether the more likely outcome occurred; None while the key result is open."""
        if self.row["is_achieved"] is None:
            return None
        return bool((self.forecast.probability >= EVEN_ODDS) == self.row["is_achieved"])


@dataclass(frozen=True)
class Hindsight:
    """The accuracy of the last forecasts of closed key results. `brier` is the mean squared error of probabilities."""

    count: int
    right: int
    brier: float
    in_interval: int


@dataclass(frozen=True)
class Expected:
    """The expected number of achieved key results, and the number of key results on which it is based.

    It is based on the outcomes of closed key results and on the forecasts of running key results with a check-in.
    """

    achieved: float
    known: int

    @property
    def share(self) -> float | None:
        """The expected share of achieved key results; None if it is based on no key results."""
        return self.achieved / self.known if self.known else None


@dataclass(frozen=True)
class TeamLine:
    """A team's row of mart_team_scorecard, with the expected number of its achieved key results."""

    row: Row
    expected: Expected
    tone: str


@dataclass(frozen=True)
class ScorecardPage:
    """The content of the scorecard. `totals` is from scorecard_totals.sql; `team_count` includes teams not shown."""

    publication: Publication
    model: LoadedVersion
    model_problem: str | None
    totals: Row
    teams: list[TeamLine]
    team_count: int
    at_risk: list[Line]
    at_risk_count: int
    undecided: list[Line]
    expected: Expected
    surprises: list[Line]
    hindsight: Hindsight | None
    awaiting_close: list[Row]
    archived: list[Row]
    is_filtered: bool

    @property
    def is_trained_on_outcome(self) -> bool:
        """Whether the model was trained on the outcomes of this cycle."""
        return self.model.learned_from(self.totals["cycle_end"])


@dataclass(frozen=True)
class KeyResultPage:
    """The content of the page of a key result."""

    publication: Publication
    model: LoadedVersion
    model_problem: str | None
    row: Row
    cycles: list[Row]
    missing_to_close: str | None
    forecast: CachedForecast | None
    interval: Interval | None
    chart: Trajectory | None
    check_ins: list[Row]
    tone: str
    came_true: bool | None

    @property
    def is_trained_on_outcome(self) -> bool:
        """Whether the model was trained on the outcome of this key result."""
        return bool(self.row["is_closed"]) and self.model.learned_from(self.row["cycle_end"])


def tone(probability: float) -> str:
    """Return the colour for a probability or share."""
    return next(name for limit, name in TONES if probability < limit)


def forecast_key(row: Row) -> KeyResultCycle:
    """Return the key of a row's forecast, which consists of the ids of the key result and the cycle."""
    return row["key_result_id"], row["cycle_id"]


def forecastable(rows: Iterable[Row], forecasts: Forecasts) -> list[Row]:
    """Return the running key results that have a forecast; closed and archived ones are excluded."""
    return [row for row in rows if row["status"] in RUNNING and forecast_key(row) in forecasts]


def riskiest(rows: Iterable[Row], forecasts: Forecasts) -> list[Row]:
    """Return the open key results that are likely to be missed, in ascending order of probability and pace."""
    risky = [row for row in forecastable(rows, forecasts) if forecasts[forecast_key(row)].probability < EVEN_ODDS]
    return sorted(risky, key=lambda row: (forecasts[forecast_key(row)].probability, _lead(row), row["key_result_id"]))


def undecided(rows: Iterable[Row], forecasts: Forecasts) -> list[Row]:
    """Return the open key results with an uncertain outcome, those closest to a probability of 0.5 first."""
    low, high = UNDECIDED
    uncertain = [
        row for row in forecastable(rows, forecasts) if low <= forecasts[forecast_key(row)].probability <= high
    ]
    return sorted(
        uncertain, key=lambda row: (abs(forecasts[forecast_key(row)].probability - EVEN_ODDS), row["key_result_id"])
    )


def most_surprising(rows: Iterable[Row], forecasts: Forecasts) -> list[Row]:
    """Return the closed key results, those with the largest forecast error first."""
    ended = [row for row in rows if row["is_achieved"] is not None and forecast_key(row) in forecasts]
    return sorted(ended, key=lambda row: (-_error(row, forecasts), row["key_result_id"]))


def evaluate_last_forecasts(ended: Sequence[Row], forecasts: Forecasts) -> Hindsight | None:
    """Evaluate the last forecasts of closed key results, or return None if there are none."""
    if not ended:
        return None
    errors = [_error(row, forecasts) for row in ended]
    within = [
        forecasts[forecast_key(row)].low - TOLERANCE
        <= row["final_score"]
        <= forecasts[forecast_key(row)].high + TOLERANCE
        for row in ended
    ]
    right = sum((forecasts[forecast_key(row)].probability >= EVEN_ODDS) == row["is_achieved"] for row in ended)
    return Hindsight(len(ended), right, sum(error**2 for error in errors) / len(errors), sum(within))


def expected(rows: Sequence[Row], forecasts: Forecasts) -> Expected:
    """Return the expected number of achieved key results, based on outcomes and, while open, on forecasts.

    Running key results without a check-in are excluded, because their forecasts say nothing about the team.
    """
    outcomes = [float(row["is_achieved"]) for row in rows if row["is_achieved"] is not None]
    running = [row for row in forecastable(rows, forecasts) if row["check_in_count"]]
    shares = outcomes + [forecasts[forecast_key(row)].probability for row in running]
    return Expected(sum(shares), len(shares))


def line(row: Row, forecast: CachedForecast, history: Sequence[tuple[float, float]], now: datetime) -> Line:
    """Combine a key result's row, forecast and charts. `now` is the time of the data."""
    ends_at = datetime.combine(row["cycle_end"] + timedelta(days=1), time(), tzinfo=UTC)
    return Line(
        row=row,
        forecast=forecast,
        spark=sparkline([(0.0, 0.0), *history]),
        interval=interval(forecast.low, forecast.high),
        days_left=max(round((ends_at - now) / timedelta(days=1)), 0),
    )


def _lead(row: Row) -> float:
    return float((row["progress_ratio"] or 0.0) - (row["expected_progress_ratio"] or 0.0))


def _error(row: Row, forecasts: Forecasts) -> float:
    return abs(forecasts[forecast_key(row)].probability - float(row["is_achieved"]))
