"""Build the content of the pages from one publication. This module uses neither FastAPI nor HTML."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from lakehouse.errors import RetryableError
from lakehouse.field_encryption.personal_columns import personal_column
from serving.data.filters import KeyResultFilter, check_names
from serving.data.similar_ids import similar_ids
from serving.errors import NotFound, NotPublished
from serving.predictor.key_result_answers import RUNNING, CachedForecast, KeyResultCycle
from serving.predictor.service import AllForecasts, Predictor
from serving.publication_reader import Published, PublishedReader, Row, Warehouse
from serving.status_explanations import missing_to_close
from serving.warehouses import Warehouses
from serving.web import scorecard
from serving.web.charts import Forecast, Trajectory, interval, trajectory
from serving.web.scorecard import KeyResultPage, Line, ScorecardPage, TeamLine

T = TypeVar("T")

PACKAGE = "serving.web"
ATTEMPTS = 3
CHECK_INS_SHOWN = 200
TEAMS_SHOWN = 500
EVERYTHING = KeyResultFilter()
NOTES = {"note": personal_column("okr.check_in.recorded.v1", "note")}


@dataclass(frozen=True)
class _ScorecardRows:
    totals: Row
    teams: list[Row]
    key_results: list[Row]
    archived: list[Row]
    awaiting_close: list[Row]


class Scorecard:
    """Builds the scorecard and the pages of key results."""

    def __init__(self, warehouses: Warehouses, predictor: Predictor, teams_shown: int = TEAMS_SHOWN) -> None:
        self._warehouses = warehouses
        self._teams_shown = teams_shown
        self._predictor = predictor

    def page(
        self, visible: Mapping[str, Any], wanted: KeyResultFilter = EVERYTHING, shown: int = scorecard.SHOWN
    ) -> ScorecardPage:
        """Return the scorecard of the current publication, with at most `shown` key results at risk.

        `visible` are the query parameters of what the visitor may see (serving/auth/visibility.py).

        Raises:
            NotPublished: nothing has been published yet, or no published cycle has started.
            NotFound: the requested teams have no key result in the requested cycles.
            UnknownName: the publication has no such team or cycle.
            RetryableError: a new publication arrived during each attempt to build the page.
        """
        return _retry_until_consistent(lambda: self._page(visible, wanted, shown))

    def _page(self, visible: Mapping[str, Any], wanted: KeyResultFilter, shown: int) -> ScorecardPage | None:
        warehouse = self._warehouses.seen_by(visible)
        found = warehouse.read(lambda reader: _read_scorecard(reader, visible, wanted, shown, self._teams_shown))
        rows, totals = found.value, found.value.totals
        forecasts = self._forecasts(None if totals["running_count"] else totals["cycle_end"])
        if forecasts.publication != found.publication:
            return None
        by_key_result_cycle = forecasts.value.by_key_result_cycle
        risky = scorecard.riskiest(rows.key_results, by_key_result_cycle)
        undecided_rows = [
            row for row in scorecard.undecided(rows.key_results, by_key_result_cycle) if row not in risky[:shown]
        ]
        is_over = not totals["running_count"]
        surprising_rows = scorecard.most_surprising(rows.key_results, by_key_result_cycle) if is_over else []
        lines = self._lines(
            warehouse, [risky[:shown], undecided_rows[: scorecard.SHOWN], surprising_rows[: scorecard.SHOWN]], forecasts
        )
        if lines is None:
            return None
        at_risk, undecided, surprises = lines
        return ScorecardPage(
            publication=found.publication,
            model=forecasts.value.model,
            model_problem=self._predictor.problem(),
            totals=totals,
            teams=_team_lines(rows, forecasts.value),
            team_count=rows.teams[0]["team_count"] if rows.teams else 0,
            at_risk=at_risk,
            at_risk_count=len(risky),
            undecided=undecided,
            expected=scorecard.expected(rows.key_results, by_key_result_cycle),
            surprises=surprises,
            hindsight=scorecard.evaluate_last_forecasts(surprising_rows, by_key_result_cycle),
            awaiting_close=rows.awaiting_close,
            archived=rows.archived if wanted.archived else [],
            is_filtered=bool(wanted.teams or wanted.cycles),
        )

    def key_result_page(
        self, visible: Mapping[str, Any], key_result_id: str, cycle: str | None = None
    ) -> KeyResultPage:
        """Return the page of a key result in its current cycle or the requested cycle (an id or a name).

        `visible` are the query parameters of what the visitor may see (serving/auth/visibility.py).

        Raises:
            NotFound: the publication does not contain the key result, or not in that cycle.
            NotPublished: nothing has been published yet.
            RetryableError: a new publication arrived during each attempt to build the page.
        """
        return _retry_until_consistent(lambda: self._key_result_page(visible, key_result_id, cycle))

    def _key_result_page(
        self, visible: Mapping[str, Any], key_result_id: str, cycle: str | None
    ) -> KeyResultPage | None:
        warehouse = self._warehouses.seen_by(visible)
        found = warehouse.read(lambda reader: _read_key_result(reader, visible, key_result_id, cycle))
        row, cycles, check_ins = found.value
        self._warehouses.personal_fields.show(check_ins[-CHECK_INS_SHOWN:], NOTES)
        all_forecasts = self._forecasts(row["cycle_end"] if row["is_closed"] else None)
        if all_forecasts.publication != found.publication:
            return None
        forecasts = all_forecasts.value
        has_forecast = row["is_closed"] or row["status"] in RUNNING
        forecast = forecasts.by_key_result_cycle.get(scorecard.forecast_key(row)) if has_forecast else None
        return KeyResultPage(
            publication=found.publication,
            model=forecasts.model,
            model_problem=self._predictor.problem(),
            row=row,
            cycles=cycles,
            missing_to_close=missing_to_close(row),
            forecast=forecast,
            interval=interval(forecast.low, forecast.high) if forecast else None,
            chart=_chart(
                row, check_ins, found.publication.data_as_of.date(), _interval_to_draw(row, forecast, forecasts)
            ),
            check_ins=check_ins[::-1][:CHECK_INS_SHOWN],
            tone=scorecard.tone(forecast.probability) if forecast else "warn",
            came_true=_came_true(row, forecast.probability if forecast else None),
        )

    def _forecasts(self, ended_on: date | None) -> Published[AllForecasts]:
        return self._predictor.all_in_hindsight(ended_on) if ended_on else self._predictor.all_current()

    def _lines(
        self, warehouse: Warehouse, lists: list[list[Row]], forecasts: Published[AllForecasts]
    ) -> list[list[Line]] | None:
        ids = [row["key_result_id"] for rows in lists for row in rows]
        found = warehouse.read(lambda reader: reader.rows(PACKAGE, "progress_histories", {"key_result_ids": ids}))
        if found.publication != forecasts.publication:
            return None
        histories: dict[KeyResultCycle, list[tuple[float, float]]] = defaultdict(list)
        for point in found.value:
            histories[scorecard.forecast_key(point)].append((point["elapsed_ratio"], point["progress_ratio"]))
        now, by_key_result_cycle = forecasts.publication.data_as_of, forecasts.value.by_key_result_cycle
        return [
            [
                scorecard.line(row, by_key_result_cycle[at := scorecard.forecast_key(row)], histories[at], now)
                for row in rows
            ]
            for rows in lists
        ]


def _retry_until_consistent(build: Callable[[], T | None]) -> T:
    """Call `build` until it returns a page. It returns None if parts of the page are from different publications."""
    for _ in range(ATTEMPTS):
        if (built := build()) is not None:
            return built
    raise RetryableError(
        f"A new publication arrived during each of {ATTEMPTS} attempts to build this page. Try again in a moment."
    )


def _read_scorecard(
    reader: PublishedReader, visible: Mapping[str, Any], wanted: KeyResultFilter, shown: int, teams_shown: int
) -> _ScorecardRows:
    check_names(reader, wanted, visible)
    names = {**wanted.values(), **visible}
    totals = reader.rows(PACKAGE, "scorecard_totals", names)[0]
    if not totals["cycle_ids"]:
        if wanted.teams or wanted.cycles:
            raise NotFound("The requested teams have no key result in the requested cycles.")
        raise NotPublished("No published cycle has started yet.")
    values = {**names, "cycle_ids": totals["cycle_ids"], "limit": shown}
    key_results = reader.rows(PACKAGE, "key_results", values)
    return _ScorecardRows(
        totals,
        reader.rows(PACKAGE, "teams", values | {"limit": teams_shown}),
        [row for row in key_results if not row["is_archived"]],
        [row for row in key_results if row["is_archived"]],
        reader.rows(PACKAGE, "awaiting_close", values),
    )


def _read_key_result(
    reader: PublishedReader, visible: Mapping[str, Any], key_result_id: str, cycle: str | None
) -> tuple[Row, list[Row], list[Row]]:
    """Return the row of the requested cycle, the rows of all cycles, and the check-ins of the requested cycle."""
    wanted = {**visible, "key_result_id": key_result_id}
    cycles = reader.rows("serving.data", "key_result", wanted)
    if not cycles:
        similar = similar_ids(reader, "key_result", key_result_id, visible)
        raise NotFound("The current publication has no such key result.", similar)
    row = next((row for row in cycles if cycle in {None, row["cycle_id"], row["cycle_name"]}), None)
    if row is None:
        known = [str(row["cycle_name"] or row["cycle_id"]) for row in cycles]
        raise NotFound(f"The key result is not in the cycle {cycle!r}; it is in {', '.join(map(repr, known))}.")
    values = {"key_result_id": key_result_id, "cycle_id": row["cycle_id"]}
    return row, cycles, reader.rows(PACKAGE, "check_ins", values)


def _team_lines(rows: _ScorecardRows, forecasts: AllForecasts) -> list[TeamLine]:
    rows_by_team_and_cycle: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows.key_results:
        rows_by_team_and_cycle[row["team_id"], row["cycle_id"]].append(row)
    lines = []
    for team in rows.teams:
        key_results = rows_by_team_and_cycle[team["team_id"], team["cycle_id"]]
        expected = scorecard.expected(key_results, forecasts.by_key_result_cycle)
        lines.append(TeamLine(team, expected, "plain" if expected.share is None else scorecard.tone(expected.share)))
    return lines


def _interval_to_draw(row: Row, forecast: CachedForecast | None, forecasts: AllForecasts) -> Forecast | None:
    """Return the interval to draw, or None for closed key results."""
    if forecast is None or row["is_closed"]:
        return None
    return Forecast(forecast.low, forecast.high)


def _chart(row: Row, check_ins: list[Row], today: date, span: Forecast | None) -> Trajectory | None:
    if row["cycle_start"] is None:
        return None
    drawn = [check_in for check_in in check_ins if check_in["progress_ratio"] is not None]
    return trajectory(
        [(check_in["checked_in_on"], check_in["progress_ratio"]) for check_in in drawn],
        starts_on=row["cycle_start"],
        ends_on=row["cycle_end"],
        today=today if row["status"] in RUNNING else None,
        forecast=span,
    )


def _came_true(row: Row, probability: float | None) -> bool | None:
    if row["is_achieved"] is None or probability is None:
        return None
    return bool((probability >= scorecard.EVEN_ODDS) == row["is_achieved"])
