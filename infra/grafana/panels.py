"""Panels and dashboards in the style of this project, built with grafana-foundation-sdk.

Queries use no variables and fixed windows, so that a test can parse each and run it as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import GraphThresholdsStyleConfig, ReduceDataOptions, VizLegendOptions
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

# The uid in provisioning/datasources. A name or `${DS_...}` would not be found after provisioning
# (https://github.com/grafana/grafana/issues/10786).
DATASOURCE = DataSourceRef(type_val="prometheus", uid="okr-prometheus")
WIDTH, HEIGHT = 24, 8
GREEN, YELLOW, RED = "green", "yellow", "red"


@dataclass(frozen=True)
class Query:
    """A PromQL expression, and what its series are called in the legend (`{{label}}` is replaced)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Graph:
    """A panel with one line per series. `limit` is drawn as a line, at the value at which an alert fires."""

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    description: str = ""
    limit: float | None = None
    maximum: float | None = None
    width: int = 12


@dataclass(frozen=True)
class Number:
    """A panel with the newest value. From `warn` it is yellow, from `bad` red; if `bad` is smaller, below them."""

    title: str
    query: Query
    unit: str = "short"
    description: str = ""
    warn: float | None = None
    bad: float | None = None
    width: int = 6


@dataclass(frozen=True)
class Board:
    """A dashboard. `name` is its file, and with `okr-` before it the uid, which links keep."""

    name: str
    title: str
    description: str
    rows: Sequence[tuple[str, Sequence[Graph | Number]]]

    @property
    def queries(self) -> list[tuple[str, str]]:
        """Return the title of the panel and the expression of each query."""
        panels = [panel for _, row in self.rows for panel in row]
        return [(panel.title, query.expr) for panel in panels for query in queries_of(panel)]


def queries_of(panel: Graph | Number) -> Sequence[Query]:
    """Return the queries of a panel."""
    return panel.queries if isinstance(panel, Graph) else (panel.query,)


def built(board: Board) -> dashboard.Dashboard:
    """Return the dashboard. Its `id` is empty, because Grafana gives it one when it is provisioned."""
    found = (
        dashboard.Dashboard(board.title)
        .uid(f"okr-{board.name}")
        .description(board.description)
        .tags(["okr"])
        .readonly()
        .timezone("utc")
        .refresh("1m")
        .time("now-6h", "now")
    )
    ids = count(1)
    for title, panels in board.rows:
        found = found.with_row(dashboard.Row(title).id(next(ids)))
        for panel in panels:
            new = _graph(panel) if isinstance(panel, Graph) else _number(panel)
            found = found.with_panel(new.id(next(ids)))
    return found


def _graph(graph: Graph) -> timeseries.Panel:
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
    panel = timeseries.Panel().title(graph.title).unit(graph.unit).description(graph.description).min(0)
    panel = panel.datasource(DATASOURCE).height(HEIGHT).span(graph.width).legend(legend).fill_opacity(10)
    if graph.maximum is not None:
        panel = panel.max(graph.maximum)
    if graph.limit is not None:
        panel = panel.thresholds(_thresholds((Threshold(None, GREEN), Threshold(graph.limit, RED))))
        panel = panel.thresholds_style(_line())
    for number, query in enumerate(graph.queries):
        panel = panel.with_target(_target(query, number, is_instant=False))
    return panel


def _number(number: Number) -> stat.Panel:
    panel = stat.Panel().title(number.title).unit(number.unit).description(number.description)
    panel = panel.datasource(DATASOURCE).height(HEIGHT // 2).span(number.width).no_value("unknown")
    panel = panel.thresholds(_thresholds(_steps(number))).graph_mode(BigValueGraphMode.NONE)
    panel = panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))  # without options, Grafana shows an error
    return panel.with_target(_target(number.query, 0, is_instant=True))


def _steps(number: Number) -> Sequence[Threshold]:
    if number.bad is None:
        return (Threshold(None, GREEN),)
    warn = number.bad if number.warn is None else number.warn
    if number.bad < warn:  # small values are bad
        return (Threshold(None, RED), Threshold(number.bad, YELLOW), Threshold(warn, GREEN))
    steps = (Threshold(None, GREEN), Threshold(warn, YELLOW), Threshold(number.bad, RED))
    return steps if warn != number.bad else (steps[0], steps[2])


def _target(query: Query, number: int, *, is_instant: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).datasource(DATASOURCE).ref_id(chr(ord("A") + number))
    target = target.instant() if is_instant else target.range()
    return target.legend_format(query.legend or "__auto")


def _thresholds(steps: Sequence[Threshold]) -> dashboard.ThresholdsConfig:
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(steps))


def _line() -> GraphThresholdsStyleConfig:
    return GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE)
