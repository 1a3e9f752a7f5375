"""What the scorecard and a key result's page show: rows of the marts joined with forecasts. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from serving.predictor.champion import ModelInUse
from serving.predictor.forecast import CachedForecast
from serving.published import Publication, Row
from serving.web.charts import Interval, Sparkline, Trajectory, interval, sparkline

EVEN = 0.5  # below it, a miss is the more likely end
SHOWN, SHOWN_MOST = 12, 500
UNDECIDED = (0.3, 0.7)
TONES = ((0.5, "bad"), (0.75, "warn"), (1.01, "good"))


@dataclass(frozen=True)
class Line:
    """A key result in a list: its row of mart_okr_scorecard, its forecast, and the drawings of both."""

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
        """Whether the likelier end was the end; None while open."""
        if self.row["is_achieved"] is None:
            return None
        return bool((self.forecast.probability >= EVEN) == self.row["is_achieved"])


@dataclass(frozen=True)
class Hindsight:
    """How the last forecasts of ended key results turned out. `brier` is the mean squared error of the probability."""

    count: int
    right: int
    brier: float
    in_interval: int


@dataclass(frozen=True)
class TeamLine:
    """A team's row of mart_team_scorecard, and how many of its key results are expected to be achieved."""

    row: Row
    expected_achieved: float | None
    tone: str


@dataclass(frozen=True)
class ScorecardPage:
    """Everything on the scorecard. `organisation` is the one row of organisation.sql."""

    publication: Publication
    model: ModelInUse
    trouble: str | None
    organisation: Row
    teams: list[TeamLine]
    at_risk: list[Line]
    at_risk_count: int
    undecided: list[Line]
    open_count: int
    expected_achieved: float | None
    surprises: list[Line]
    hindsight: Hindsight | None

    @property
    def by_rule(self) -> bool:
        """Whether the pacing rule answers, which knows on pace or not, and no interval."""
        return self.model.role == "pacing_rule"

    @property
    def learned_from_it(self) -> bool:
        """Whether the model has learned from the outcomes of the cycle that is shown."""
        return self.model.learned_from(self.organisation["cycle_end"])


@dataclass(frozen=True)
class KeyResultPage:
    """Everything on a key result's page."""

    publication: Publication
    model: ModelInUse
    trouble: str | None
    row: Row
    forecast: CachedForecast | None
    interval: Interval | None
    chart: Trajectory | None
    check_ins: list[Row]
    tone: str
    came_true: bool | None

    @property
    def learned_from_it(self) -> bool:
        """Whether the model has learned from this key result's own outcome."""
        return bool(self.row["is_closed"]) and self.model.learned_from(self.row["cycle_end"])

    @property
    def by_rule(self) -> bool:
        """Whether the pacing rule answers, which knows on pace or not, and no interval."""
        return self.model.role == "pacing_rule"


def tone(probability: float) -> str:
    """Return the colour of a probability or share."""
    return next(name for limit, name in TONES if probability < limit)


def riskiest(rows: Iterable[Row], forecasts: Mapping[str, CachedForecast]) -> list[Row]:
    """Return the open key results likelier missed than achieved, worst first; among equals those furthest behind."""
    open_rows = [row for row in rows if not row["is_closed"] and row["key_result_id"] in forecasts]
    risky = [row for row in open_rows if forecasts[row["key_result_id"]].probability < EVEN]
    return sorted(
        risky, key=lambda row: (forecasts[row["key_result_id"]].probability, _lead(row), row["key_result_id"])
    )


def undecided(rows: Iterable[Row], forecasts: Mapping[str, CachedForecast]) -> list[Row]:
    """Return the open key results that could go either way, closest to even first."""
    low, high = UNDECIDED
    open_rows = [row for row in rows if not row["is_closed"] and row["key_result_id"] in forecasts]
    even = [row for row in open_rows if low <= forecasts[row["key_result_id"]].probability <= high]
    return sorted(even, key=lambda row: (abs(forecasts[row["key_result_id"]].probability - EVEN), row["key_result_id"]))


def most_surprising(rows: Iterable[Row], forecasts: Mapping[str, CachedForecast]) -> list[Row]:
    """Return ended key results, those first whose last forecast was furthest from what came."""
    ended = [row for row in rows if row["is_achieved"] is not None and row["key_result_id"] in forecasts]
    return sorted(ended, key=lambda row: (-_miss(row, forecasts), row["key_result_id"]))


def look_back(ended: Sequence[Row], forecasts: Mapping[str, CachedForecast]) -> Hindsight | None:
    """Judge the last forecasts of ended key results; None where there are none."""
    if not ended:
        return None
    misses = [_miss(row, forecasts) for row in ended]
    within = [
        forecasts[row["key_result_id"]].low - 1e-9 <= row["final_score"] <= forecasts[row["key_result_id"]].high + 1e-9
        for row in ended
    ]
    right = sum((forecasts[row["key_result_id"]].probability >= EVEN) == row["is_achieved"] for row in ended)
    return Hindsight(len(ended), right, sum(miss**2 for miss in misses) / len(misses), sum(within))


def expected_achieved(rows: Iterable[Row], forecasts: Mapping[str, CachedForecast]) -> float | None:
    """Return how many key results are expected to be achieved: what is known, and probabilities for the rest.

    None where nothing is known of any of them.
    """
    shares = [
        float(row["is_achieved"]) if row["is_achieved"] is not None else forecasts[row["key_result_id"]].probability
        for row in rows
        if row["is_achieved"] is not None or row["key_result_id"] in forecasts
    ]
    return sum(shares) if shares else None


def line(row: Row, forecast: CachedForecast, trail: Sequence[tuple[float, float]], now: datetime) -> Line:
    """Put a key result's row, forecast and drawings together; `now` is the moment that the data describe."""
    ends_at = datetime.combine(row["cycle_end"] + timedelta(days=1), time(), tzinfo=UTC)
    return Line(
        row=row,
        forecast=forecast,
        spark=sparkline([(0.0, 0.0), *trail]),
        interval=interval(forecast.low, forecast.high),
        days_left=max(round((ends_at - now) / timedelta(days=1)), 0),
    )


def _lead(row: Row) -> float:
    return float((row["progress_ratio"] or 0.0) - (row["expected_progress_ratio"] or 0.0))


def _miss(row: Row, forecasts: Mapping[str, CachedForecast]) -> float:
    return abs(forecasts[row["key_result_id"]].probability - float(row["is_achieved"]))
