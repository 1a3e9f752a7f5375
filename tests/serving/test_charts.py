"""Charts: every value is drawn within the chart, whatever the numbers."""

from datetime import date

import pytest

from serving.web.charts import CHART_HEIGHT, CHART_WIDTH, Forecast, interval, sparkline, trajectory

START, END = date(2026, 1, 1), date(2026, 3, 31)


def coordinates(path: str) -> list[tuple[float, float]]:
    points = path.replace("Z", "").replace("M", "").split("L")
    return [(float(x), float(y)) for x, y in (point.split() for point in points if point.strip())]


@pytest.mark.parametrize(
    "progress",
    [[], [0.0], [-3.0, 2.0], [1e9], [-1e12, 1e12], [0.5] * 500, [1e-12]],
    ids=["no", "one", "both", "far", "huge", "many", "tiny"],
)
def test_progress_is_drawn_within_the_chart(progress: list[float]) -> None:
    spark = sparkline([(index / 500, value) for index, value in enumerate(progress)])
    assert len(coordinates(spark.line)) == len(progress)
    for x, y in coordinates(spark.line):
        assert 0 <= x <= spark.width
        assert 0 <= y <= spark.height
    chart = trajectory(
        [(START, value) for value in progress], starts_on=START, ends_on=END, today=date(2026, 2, 1),
        forecast=Forecast(0.0, 1.0),
    )  # fmt: skip
    assert bool(coordinates(chart.line)) == bool(progress)
    for x, y in coordinates(chart.line):
        assert 0 <= x <= CHART_WIDTH
        assert 0 <= y <= CHART_HEIGHT
    assert 1 <= len(chart.y_ticks) <= 12


def test_a_day_outside_the_cycle_is_drawn_at_its_edge() -> None:
    chart = trajectory(
        [(date(2025, 1, 1), 0.1), (date(2027, 1, 1), 0.2)], starts_on=START, ends_on=END, today=None, forecast=None
    )
    assert [x for x, _ in coordinates(chart.line)] == [chart.left, chart.right]


def test_the_target_is_above_the_threshold_and_the_pace_joins_baseline_and_target() -> None:
    chart = trajectory([(START, 0.0)], starts_on=START, ends_on=END, today=None, forecast=None)
    assert chart.target_y < chart.achieved_y
    assert (chart.pace[1].x, chart.pace[1].y) == (chart.right, chart.target_y)


def test_an_interval_is_visible_even_if_it_is_a_point() -> None:
    assert interval(0.0, 0.0).length >= 2
    assert interval(0.2, 0.9).x < interval(0.2, 0.9).mark
