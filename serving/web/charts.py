"""Compute the geometry of the charts, which the templates draw as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from lakehouse.achieved_score import ACHIEVED_SCORE
from serving.web.formatting import percent

SPARK_WIDTH, SPARK_HEIGHT, SPARK_PAD = 132.0, 40.0, 4.0
BAR_WIDTH, BAR_HEIGHT = 132.0, 16.0
CHART_WIDTH, CHART_HEIGHT = 720.0, 320.0
CHART_LEFT, CHART_RIGHT, CHART_TOP, CHART_BOTTOM = 46.0, 14.0, 14.0, 30.0
MAX_DOTS = 60  # lines with more check-ins are drawn without dots


@dataclass(frozen=True)
class Point:
    """A point in a chart, in the chart's units."""

    x: float
    y: float


@dataclass(frozen=True)
class Sparkline:
    """Progress over a cycle, and the linear pace to the target."""

    line: str
    last: Point | None
    pace: tuple[Point, Point]
    width: float = SPARK_WIDTH
    height: float = SPARK_HEIGHT


@dataclass(frozen=True)
class Interval:
    """The interval of a final score on a bar from 0 to 1, with a mark at the score that counts as achieved."""

    x: float
    length: float
    mark: float
    width: float = BAR_WIDTH
    height: float = BAR_HEIGHT


@dataclass(frozen=True)
class Tick:
    """A labelled tick line of an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Trajectory:
    """The progress chart of a key result: x is the cycle, y is progress from baseline (0 %) to target (100 %)."""

    line: str
    dots: tuple[Point, ...]
    pace: tuple[Point, Point]
    target_y: float
    achieved_y: float
    fan: str
    forecast: tuple[Point, Point] | None
    today_x: float | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    left: float = CHART_LEFT
    right: float = CHART_WIDTH - CHART_RIGHT
    top: float = CHART_TOP
    bottom: float = CHART_HEIGHT - CHART_BOTTOM
    width: float = CHART_WIDTH
    height: float = CHART_HEIGHT


@dataclass(frozen=True)
class Forecast:
    """The part of a forecast that is shown in the chart, which is the interval of the final score."""

    low: float
    high: float


def sparkline(points: Sequence[tuple[float, float]]) -> Sparkline:
    """Compute a sparkline from pairs of (elapsed share of the cycle, progress) in chronological order."""
    top = max([1.0, *(progress for _, progress in points)])
    bottom = min([0.0, *(progress for _, progress in points)])
    inner_width, inner_height = SPARK_WIDTH - 2 * SPARK_PAD, SPARK_HEIGHT - 2 * SPARK_PAD

    def to_point(elapsed: float, progress: float) -> Point:
        share = (progress - bottom) / (top - bottom)
        return Point(_round(SPARK_PAD + elapsed * inner_width), _round(SPARK_PAD + (1 - share) * inner_height))

    drawn = [to_point(*point) for point in points]
    return Sparkline(_path(drawn), drawn[-1] if drawn else None, (to_point(0, 0), to_point(1, 1)))


def interval(low: float, high: float) -> Interval:
    """Compute the bar for the interval of a final score (0-1)."""
    start, end = (min(max(value, 0.0), 1.0) * BAR_WIDTH for value in (low, high))
    return Interval(_round(start), _round(max(end - start, 2.0)), _round(ACHIEVED_SCORE * BAR_WIDTH))


def trajectory(
    check_ins: Sequence[tuple[date, float]],
    *,
    starts_on: date,
    ends_on: date,
    today: date | None,
    forecast: Forecast | None,
) -> Trajectory:
    """Compute the progress chart from pairs of (day, progress) in chronological order.

    `today` is the day of the data, or None if the cycle is not running.
    """
    days = max((ends_on - starts_on).days, 1)
    seen = [progress for _, progress in check_ins]
    top, bottom = max([1.0, *seen]) * 1.05, min([0.0, *seen])
    inner_width = CHART_WIDTH - CHART_LEFT - CHART_RIGHT
    inner_height = CHART_HEIGHT - CHART_TOP - CHART_BOTTOM

    def x_of(day: date) -> float:
        elapsed = min(max((day - starts_on).days / days, 0.0), 1.0)
        return _round(CHART_LEFT + elapsed * inner_width)

    def y_of(progress: float) -> float:
        return _round(CHART_TOP + (1 - (progress - bottom) / (top - bottom)) * inner_height)

    drawn = [Point(x_of(day), y_of(progress)) for day, progress in check_ins]
    end_x = x_of(ends_on)
    ends = (Point(end_x, y_of(forecast.low)), Point(end_x, y_of(forecast.high))) if forecast else None
    return Trajectory(
        line=_path(drawn),
        dots=tuple(drawn) if len(drawn) <= MAX_DOTS else (),
        pace=(Point(x_of(starts_on), y_of(0)), Point(end_x, y_of(1))),
        target_y=y_of(1),
        achieved_y=y_of(ACHIEVED_SCORE),
        fan=_path([drawn[-1], *ends]) + " Z" if ends and drawn else "",
        forecast=ends,
        today_x=x_of(today) if today else None,
        x_ticks=tuple(Tick(x_of(day), f"{day.day} {day:%b}") for day in _tick_days(starts_on, ends_on)),
        y_ticks=tuple(Tick(y_of(share), percent(share)) for share in _tick_shares(bottom, top)),
    )


def _tick_days(starts_on: date, ends_on: date, parts: int = 4) -> list[date]:
    days = (ends_on - starts_on).days
    return sorted({starts_on + timedelta(days=days * part // parts) for part in range(parts + 1)})


def _tick_shares(bottom: float, top: float, max_ticks: int = 8) -> list[float]:
    step = next(
        step for step in (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 100.0, (top - bottom)) if (top - bottom) / step <= max_ticks
    )
    first = int(bottom / step) if bottom >= 0 else -int(-bottom / step)
    return [step * number for number in range(first, int(top / step) + 1)]


def _path(points: Sequence[Point]) -> str:
    return " ".join(f"{'L' if index else 'M'}{point.x} {point.y}" for index, point in enumerate(points))


def _round(value: float) -> float:
    return round(value, 1)
