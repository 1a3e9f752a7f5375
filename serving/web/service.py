"""Builds the pages' content from one publication. Knows no HTTP and no HTML."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from lakehouse.errors import RetryableError
from serving.errors import NotFound, NotPublished
from serving.predictor.service import AllForecasts, Predictor
from serving.published import Published, PublishedReader, Row, Warehouse
from serving.web import scorecard
from serving.web.charts import Forecast, Trajectory, interval, trajectory
from serving.web.scorecard import KeyResultPage, Line, ScorecardPage, TeamLine

T = TypeVar("T")

ROOM = "serving.web"
ATTEMPTS = 3
CHECK_INS_SHOWN = 200


@dataclass(frozen=True)
class _Read:
    organisation: Row
    teams: list[Row]
    key_results: list[Row]


class Scorecard:
    """The scorecard and the pages of key results."""

    def __init__(self, warehouse: Warehouse, predictor: Predictor) -> None:
        self._warehouse = warehouse
        self._predictor = predictor

    def page(self, shown: int = scorecard.SHOWN) -> ScorecardPage:
        """Return the scorecard of the current publication, with at most `shown` key results at risk.

        Raises:
            NotPublished: nothing has been published yet, or nothing whose cycle has begun.
            RetryableError: publications follow each other faster than the page can be put together.
        """
        return _of_one_publication(lambda: self._page(shown))

    def _page(self, shown: int) -> ScorecardPage | None:
        rows = self._warehouse.read(_read)
        of_all = rows.value.organisation
        forecasts = self._forecasts(None if of_all["open_count"] else of_all["cycle_end"])
        if forecasts.publication != rows.publication:
            return None
        read, by_id = rows.value, forecasts.value.by_id
        risky = scorecard.riskiest(read.key_results, by_id)
        even = [row for row in scorecard.undecided(read.key_results, by_id) if row not in risky[:shown]]
        ended = [] if read.organisation["open_count"] else scorecard.most_surprising(read.key_results, by_id)
        lines = self._lines([risky[:shown], even[: scorecard.SHOWN], ended[: scorecard.SHOWN]], forecasts)
        if lines is None:
            return None
        at_risk, undecided, surprises = lines
        return ScorecardPage(
            publication=rows.publication,
            model=forecasts.value.model,
            trouble=self._predictor.trouble(),
            organisation=read.organisation,
            teams=_team_lines(read, forecasts.value),
            at_risk=at_risk,
            at_risk_count=len(risky),
            undecided=undecided,
            open_count=read.organisation["open_count"],
            expected_achieved=scorecard.expected_achieved(read.key_results, by_id),
            surprises=surprises,
            hindsight=scorecard.look_back(ended, by_id),
        )

    def key_result_page(self, key_result_id: str) -> KeyResultPage:
        """Return the page of one key result.

        Raises:
            NotFound: the publication holds none of that id.
            NotPublished: nothing has been published yet.
            RetryableError: publications follow each other faster than the page can be put together.
        """
        return _of_one_publication(lambda: self._key_result_page(key_result_id))

    def _key_result_page(self, key_result_id: str) -> KeyResultPage | None:
        found = self._warehouse.read(
            lambda reader: (
                reader.rows("serving.data", "key_result", {"key_result_id": key_result_id}),
                reader.rows(ROOM, "check_ins", {"key_result_id": key_result_id}),
            )
        )
        rows, check_ins = found.value
        if not rows:
            raise NotFound("The current publication holds no such key result.")
        row = rows[0]
        of_all = self._forecasts(row["cycle_end"] if row["is_closed"] else None)
        if of_all.publication != found.publication:
            return None
        forecasts = of_all.value
        forecast = forecasts.by_id.get(key_result_id)
        return KeyResultPage(
            publication=found.publication,
            model=forecasts.model,
            trouble=self._predictor.trouble(),
            row=row,
            forecast=forecast,
            interval=interval(forecast.low, forecast.high) if forecast else None,
            chart=_chart(row, check_ins, found.publication.data_as_of.date(), _span(row, forecasts)),
            check_ins=check_ins[::-1][:CHECK_INS_SHOWN],
            tone=scorecard.tone(forecast.probability) if forecast else "warn",
            came_true=_came_true(row, forecast.probability if forecast else None),
        )

    def _forecasts(self, ended_on: date | None) -> Published[AllForecasts]:
        return self._predictor.all_in_hindsight(ended_on) if ended_on else self._predictor.all_current()

    def _lines(self, lists: list[list[Row]], forecasts: Published[AllForecasts]) -> list[list[Line]] | None:
        ids = [row["key_result_id"] for rows in lists for row in rows]
        found = self._warehouse.read(lambda reader: reader.rows(ROOM, "trails", {"key_result_ids": ids}))
        if found.publication != forecasts.publication:
            return None
        trails: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for point in found.value:
            trails[point["key_result_id"]].append((point["elapsed_ratio"], point["progress_ratio"]))
        now, by_id = forecasts.publication.data_as_of, forecasts.value.by_id
        return [
            [scorecard.line(row, by_id[i := row["key_result_id"]], trails[i], now) for row in rows] for rows in lists
        ]


def _of_one_publication(build: Callable[[], T | None]) -> T:
    """Return what `build` made; it returns None where its parts turned out to be of different publications."""
    for _ in range(ATTEMPTS):
        if (built := build()) is not None:
            return built
    raise RetryableError(
        f"A new publication came in at each of {ATTEMPTS} attempts to put this page together. Try again in a moment."
    )


def _read(reader: PublishedReader) -> _Read:
    organisation = reader.rows(ROOM, "organisation")[0]
    if not organisation["cycle_ids"]:
        raise NotPublished("The publication holds no cycle that has begun.")
    cycles = {"cycle_ids": organisation["cycle_ids"]}
    return _Read(organisation, reader.rows(ROOM, "teams", cycles), reader.rows(ROOM, "key_results", cycles))


def _team_lines(read: _Read, forecasts: AllForecasts) -> list[TeamLine]:
    of_team: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in read.key_results:
        of_team[row["team_id"], row["cycle_id"]].append(row)
    lines = []
    for team in read.teams:
        expected = scorecard.expected_achieved(of_team[team["team_id"], team["cycle_id"]], forecasts.by_id)
        share = (expected or 0) / max(team["key_result_count"], 1)
        lines.append(TeamLine(team, expected, scorecard.tone(share)))
    return lines


def _span(row: Row, forecasts: AllForecasts) -> Forecast | None:
    """Return the interval to draw: none for what has ended, none by the pacing rule, which knows no interval."""
    forecast = forecasts.by_id.get(row["key_result_id"])
    if forecast is None or row["is_closed"] or forecasts.model.role == "pacing_rule":
        return None
    return Forecast(forecast.low, forecast.high)


def _chart(row: Row, check_ins: list[Row], today: date, span: Forecast | None) -> Trajectory | None:
    if row["cycle_start"] is None:
        return None
    drawn = [one for one in check_ins if one["progress_ratio"] is not None]
    return trajectory(
        [(one["checked_in_on"], one["progress_ratio"]) for one in drawn],
        starts_on=row["cycle_start"],
        ends_on=row["cycle_end"],
        today=None if row["is_closed"] else today,
        forecast=span,
    )


def _came_true(row: Row, probability: float | None) -> bool | None:
    if row["is_achieved"] is None or probability is None:
        return None
    return bool((probability >= scorecard.EVEN) == row["is_achieved"])
