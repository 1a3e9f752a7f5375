"""Write the true probability that each simulated key result is achieved, which is the best possible forecast."""

import csv
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

from ingestion.sources.simulator.latent_progress import true_probability
from ingestion.sources.simulator.okrs import KeyResult, draw_okrs
from ingestion.sources.simulator.scale import Cycle, quarter_of
from ingestion.sources.simulator.teams_and_users import Organisation
from lakehouse.atomic_replace import replace_file
from lakehouse.errors import PermanentError

COLUMNS = ("key_result_id", "as_of")
KeyResultAt = tuple[str, datetime]  # the id of a key result, and the time of a forecast


def write_true_probabilities(organisation: Organisation, forecasts: Path, out: Path) -> int:
    """Write key_result_id, as_of and the true probability for each line of `forecasts`; return the number of lines.

    `forecasts` is a CSV file with the columns key_result_id and as_of, as written by `okr forecast backtest`.

    Raises:
        PermanentError: a file cannot be read or written, or a key result does not belong to this simulation.
    """
    lines = _read(forecasts)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, "probability"))
    for line, probability in zip(lines, true_probabilities(organisation, map(_parse_line, lines)), strict=True):
        writer.writerow((*line, probability))
    try:
        replace_file(out, text.getvalue())
    except OSError as error:
        raise PermanentError(f"{out} cannot be written: {error.strerror or error}.") from error
    return len(lines)


def true_probabilities(organisation: Organisation, requests: Iterable[KeyResultAt]) -> list[float]:
    """Return P(final score >= 0.7) of each key result at the given time, from the parameters that were drawn for it.

    Raises:
        PermanentError: a key result does not belong to this simulation.
    """
    requested = list(requests)
    drawn = _drawn(organisation, [at.date() for _, at in requested])
    unknown = sorted({key_result_id for key_result_id, _ in requested} - set(drawn))
    if unknown:
        raise PermanentError(
            f"Key result {unknown[0]!r} does not belong to this simulation. Give the --scale and --seed of the history."
        )
    return [_probability(drawn[key_result_id], at) for key_result_id, at in requested]


def _drawn(organisation: Organisation, days: list[date]) -> dict[str, KeyResult]:
    return {
        key_result.id: key_result for cycle in _cycles_around(days) for key_result in draw_okrs(organisation, cycle)[1]
    }


def _cycles_around(days: list[date]) -> list[Cycle]:
    """Return the cycles of the days and the cycle before, because a check-in may be dated shortly after its cycle."""
    if not days:
        return []
    cycles = [quarter_of(quarter_of(min(days)).start - timedelta(days=1))]
    while cycles[-1].end < max(days):
        cycles.append(quarter_of(cycles[-1].end + timedelta(days=1)))
    return cycles


def _probability(key_result: KeyResult, at: datetime) -> float:
    day = min((at.date() - key_result.objective.cycle.start).days, key_result.process.days)
    return true_probability(key_result.process, day, key_result.threshold(at))


def _read(forecasts: Path) -> list[tuple[str, str]]:
    try:
        with forecasts.open(encoding="utf-8", newline="") as file:
            return [(line["key_result_id"], line["as_of"]) for line in csv.DictReader(file, strict=True)]
    except (OSError, ValueError, csv.Error, KeyError) as error:
        raise PermanentError(
            f"{forecasts} cannot be read ({error}). Expected CSV with the columns {', '.join(COLUMNS)}, such as "
            "`okr forecast backtest` writes."
        ) from error


def _parse_line(line: tuple[str, str]) -> KeyResultAt:
    key_result_id, as_of = line
    try:
        at = datetime.fromisoformat(as_of)
    except (TypeError, ValueError) as error:
        raise PermanentError(f"Expected as_of to be a time such as 2026-05-01T12:00:00Z, got {as_of!r}.") from error
    return key_result_id, at if at.tzinfo else at.replace(tzinfo=UTC)
