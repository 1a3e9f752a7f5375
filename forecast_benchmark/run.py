"""Run the benchmark: for each folder, import the files, build the features, forecast, and write the results."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from forecast_benchmark.cycles import ForecastCycle, forecast_cycles, last_closed
from forecast_benchmark.forecast_lines import due_check_ins, lines_of, model_lines
from forecast_benchmark.forecasters import MODEL
from forecast_benchmark.report import markdown
from forecast_benchmark.scores import Score, scores_of
from forecast_benchmark.warehouse import TemporaryWarehouse, temporary_warehouse
from ingestion.contract_validation import DecodedEvent, decode
from ingestion.sources.okr_files import History, history_events
from ingestion.sources.okr_files.importer import ImportReport, check_usable, read_folder
from lakehouse.atomic_replace import replace_file
from lakehouse.errors import OkrError, PermanentError
from ml.forecast_csv import write_forecasts

REPORT = "benchmark.md"
LAST_CYCLES = "last_two_cycles"  # folder with the forecasts of the last two closed cycles alone

Say = Callable[[str], None]


@dataclass
class Results:
    """The scores by domain and forecaster, remarks for the report, and the domains that could not be forecast."""

    last: dict[str, dict[str, Score]] = field(default_factory=dict)
    every: dict[str, dict[str, Score]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def run(folders: Sequence[Path], out: Path, say: Say) -> Results:
    """Forecast folders one after another, and write `<out>/<domain>.csv` for each and `<out>/benchmark.md` for all.

    The domain is the name of the folder. `<out>/last_two_cycles/<domain>.csv` has only the last two closed cycles.

    Raises:
        PermanentError: a folder could not be forecast; the others were. Or nothing could be written.
    """
    domains = _domains(folders)
    _create(out / LAST_CYCLES)
    for name in domains:  # a folder that cannot be forecast must not leave the forecasts of an earlier run
        for file in _files(out, name):
            file.unlink(missing_ok=True)
    results = Results()
    with temporary_warehouse() as warehouse:
        for number, (domain, folder) in enumerate(domains.items(), start=1):
            try:
                line = _forecast(warehouse, domain, folder, out, results)
            except OkrError as error:
                results.failed.append(domain)
                results.remarks.append(f"{domain}: not forecast. {error}")
                line = f"not forecast. {error}"
            say(f"{number}/{len(domains)} {domain}: {line}")
    replace_file(out / REPORT, markdown(results.last, results.every, results.remarks))
    if results.failed:
        raise PermanentError(
            f"{len(results.failed)} of {len(domains)} folders could not be forecast: {', '.join(results.failed)}. The "
            f"reasons are above. {out / REPORT} has the scores of the others."
        )
    return results


def _forecast(warehouse: TemporaryWarehouse, domain: str, folder: Path, out: Path, results: Results) -> str:
    """Forecast a folder, add its scores to the results, and return a line about it."""
    started = time.monotonic()
    files = _read(warehouse, folder)
    features = warehouse.history_of(_events(files))
    built = time.monotonic()
    cycles = list(forecast_cycles(features))
    last = last_closed(cycles)
    for file, written in zip(_files(out, domain), (cycles, last), strict=True):
        write_forecasts(iter(lines_of(files, written)), file)
    results.last[domain], results.every[domain] = scores_of(last), scores_of(cycles)
    results.remarks += _remarks(domain, files, cycles)
    return (
        f"{len(due_check_ins(files, cycles)):,} check-ins in {len(cycles)} cycles "
        f"(features {built - started:.0f} s, forecasts {time.monotonic() - built:.0f} s)"
    )


def _remarks(domain: str, files: History, cycles: Sequence[ForecastCycle]) -> Iterator[str]:
    untrained = sum(not each.forecasts[MODEL].has_intervals for each in cycles if each.forecasts)
    if untrained:
        yield (
            f"{domain}: {untrained} of {len(cycles)} cycles were forecast by the pacing rule, because too few key "
            "results had closed before to train a model."
        )
    missing = due_check_ins(files, cycles).keys() - model_lines(cycles).keys()
    if missing:
        yield f"{domain}: {len(missing)} check-ins without features were forecast by the base rate and are not scored."


def _read(warehouse: TemporaryWarehouse, folder: Path) -> History:
    """Read a folder as the import does.

    Raises:
        PermanentError: the folder or a file cannot be read, or so many rows were rejected that the import would stop.
        ContractViolation: a header is missing or wrong.
    """
    files, rejected = read_folder(folder, state=warehouse.stack.state, now=datetime.now(UTC))
    report = ImportReport(folder, files, rejected)
    check_usable(report)
    if obstacle := report.obstacle():
        raise PermanentError(f"{obstacle}. `okr produce files {folder} --check` lists them. Correct the files.")
    return files


def _events(files: History) -> Iterator[DecodedEvent]:
    return (decode(event.topic, event.value) for event in history_events(files))


def _domains(folders: Sequence[Path]) -> dict[str, Path]:
    """Return the folders by name.

    Raises:
        PermanentError: two folders have the same name.
    """
    domains: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in domains:
            raise PermanentError(
                f"Expected folders with different names, but {domains[name]} and {folder} are both named {name!r}, and "
                "so are the files to write. Rename one, or forecast it separately with another --out."
            )
        domains[name] = folder
    return domains


def _files(out: Path, domain: str) -> tuple[Path, Path]:
    """Return the files with the forecasts of all cycles and of the last two."""
    return out / f"{domain}.csv", out / LAST_CYCLES / f"{domain}.csv"


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermanentError(
            f"{folder} cannot be created: {error.strerror}. Choose another folder with --out."
        ) from error
