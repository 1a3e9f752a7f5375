"""Run the benchmark: for each folder, import the files, build the features, forecast, and write the results."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from infra.forecast_benchmark.cycles import ForecastCycle, forecast_cycles, forecasting_processes, last_closed
from infra.forecast_benchmark.forecast_lines import due_check_ins, lines_of, model_lines
from infra.forecast_benchmark.forecasters import MODEL
from infra.forecast_benchmark.report import markdown
from infra.forecast_benchmark.scores import Score, scores_of
from infra.forecast_benchmark.warehouse import temporary_warehouse
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
    _prepare(out, domains)
    results = Results()
    with temporary_warehouse() as warehouse, forecasting_processes() as processes:
        for number, (domain, folder) in enumerate(domains.items(), start=1):
            started = time.monotonic()
            try:
                files, rejected = _read(folder, warehouse.stack.state)
                cycles = forecast_cycles(warehouse.history_of(_events(files)), processes)
                due = _write(out, domain, files, cycles)
            except OkrError as error:
                results.failed.append(domain)
                results.remarks.append(f"{domain}: not forecast. {error}")
                say(f"{number}/{len(domains)} {domain}: not forecast. {error}")
                continue
            results.last[domain], results.every[domain] = scores_of(last_closed(cycles)), scores_of(cycles)
            results.remarks += (f"{domain}: {remark}" for remark in _remarks(files, rejected, cycles))
            seconds = time.monotonic() - started
            say(f"{number}/{len(domains)} {domain}: {due:,} check-ins in {len(cycles)} cycles, {seconds:.0f} s")
    replace_file(out / REPORT, markdown(results.last, results.every, results.remarks))
    if results.failed:
        raise PermanentError(
            f"{len(results.failed)} of {len(domains)} folders could not be forecast: {', '.join(results.failed)}. The "
            f"reasons are above. {out / REPORT} has the scores of the others."
        )
    return results


def _read(folder: Path, state: Path) -> tuple[History, int]:
    """Read a folder as the import does; return its valid rows and the number of rejected rows.

    Raises:
        PermanentError: the folder or a file cannot be read, or so many rows were rejected that the import would stop.
        ContractViolation: a header is missing or wrong.
    """
    files, rejected = read_folder(folder, state=state, now=datetime.now(UTC))
    report = ImportReport(folder, files, rejected)
    check_usable(report)
    if obstacle := report.obstacle():
        raise PermanentError(f"{obstacle}. Correct the files; `okr produce files {folder} --check` lists the rows.")
    return files, rejected.count.total()


def _events(files: History) -> Iterator[DecodedEvent]:
    return (decode(event.topic, event.value) for event in history_events(files))


def _write(out: Path, domain: str, files: History, cycles: Sequence[ForecastCycle]) -> int:
    """Write the forecasts of all cycles and of the last two; return the number of the former."""
    every, last = _files(out, domain)
    write_forecasts(iter(lines_of(files, last_closed(cycles))), last)
    return write_forecasts(iter(lines_of(files, cycles)), every)


def _remarks(files: History, rejected: int, cycles: Sequence[ForecastCycle]) -> Iterator[str]:
    if rejected:
        yield f"the import rejected {rejected} rows, which were not used."
    untrained = sum(not cycle.forecasts[MODEL].is_trained for cycle in cycles if cycle.forecasts)
    if untrained:
        yield (
            f"{untrained} of {len(cycles)} cycles were forecast by the prior alone, because too few key results had "
            "closed before to train a model."
        )
    missing = due_check_ins(files, cycles).keys() - model_lines(cycles).keys()
    if missing:
        yield f"{len(missing)} check-ins without features were forecast by the base rate and are not scored."


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


def _prepare(out: Path, domains: Iterable[str]) -> None:
    """Create the folders, and delete an earlier run's forecasts, because a domain can fail this time."""
    try:
        (out / LAST_CYCLES).mkdir(parents=True, exist_ok=True)
        for domain in domains:
            for file in _files(out, domain):
                file.unlink(missing_ok=True)
    except OSError as error:
        raise PermanentError(
            f"{out} cannot be written: {error.strerror}. Choose a folder that you can write to with --out."
        ) from error
