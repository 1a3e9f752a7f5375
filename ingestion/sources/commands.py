"""Commands `okr produce …`, `okr simulate` and `okr simulation-probabilities`."""

import json
import math
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer

from ingestion.spool.commands import app as spool
from lakehouse.contracts.allowed_characters import printable
from lakehouse.errors import PermanentError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import load_settings

app = typer.Typer(no_args_is_help=True)
produce = typer.Typer(no_args_is_help=True, help="Send events to Kafka from a source.")
app.add_typer(produce, name="produce")
produce.add_typer(spool, name="spool")

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # the earliest --as-of of a simulation

AsOf = Annotated[str, typer.Option(help="End of the simulated history, e.g. 2026-05-01T12:00:00Z; default: now.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]
Seed = Annotated[int, typer.Option(help="Random seed; each seed gives a different simulated organisation.")]
ScaleName = Annotated[
    str, typer.Option(help="Size: small (about 200 key results), default (at least 2,000) or large (24,000).")
]


@produce.command("files")
def produce_files(
    folder: Annotated[Path, typer.Argument(help="Folder with key_results.csv and check_ins.csv.")],
    check: Annotated[
        bool,
        typer.Option("--check", help="Only validate the files; fail if an import would not send them."),
    ] = False,
    accept_rejects: Annotated[
        bool, typer.Option("--accept-rejects", help="Send the valid rows, no matter how many are rejected.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send an organisation's history from CSV files, and list each rejected row with its line and the reason.

    Nothing is sent if more than 10 % of a file's rows are rejected, or if an unclosed quote, a decimal comma,
    the encoding or a line of more than 16 million characters makes other rows ambiguous. In these cases, the command
    asks for confirmation if it runs in a terminal, and requires --accept-rejects if it does not.
    """
    from ingestion.sources.okr_files.importer import (
        ImportReport,
        check_usable,
        check_would_be_sent,
        deliver,
        read_folder,
    )

    settings = load_settings()
    if not check:
        KafkaConnection.of(settings)  # fail before the files are read
    history, rejected = read_folder(folder, state=settings.state, now=datetime.now(UTC))
    report = ImportReport(folder, history, rejected)
    obstacle = None if accept_rejects else report.obstacle()
    if check or not history.key_results or obstacle:
        _print(report.as_json(), report.as_lines(), as_json=as_json)
    if check:
        check_would_be_sent(report, obstacle)
        return
    check_usable(report)
    if obstacle and not (_is_terminal() and not as_json and typer.confirm(f"{obstacle}. Send the valid rows?")):
        raise PermanentError(
            f"{obstacle}. Nothing was sent. Correct the files and try again, or send the valid rows with "
            "--accept-rejects."
        )
    sent, spooled = deliver(history, settings)
    report = replace(report, sent=sent, spooled=spooled)
    _print(report.as_json(), report.sent_lines() if obstacle else report.as_lines(), as_json=as_json)


@produce.command("simulation")
def produce_simulation(
    seed: Seed = 1,
    scale: ScaleName = "default",
    as_of: AsOf = "",
    as_json: AsJson = False,
) -> None:
    """Send a simulated history that includes late, duplicate and malformed messages, and print the number of each."""
    from ingestion.producer import EventProducer
    from ingestion.sources.simulator import Tally, messages, organisation, scale_of
    from ingestion.sources.simulator.messages import report

    simulated = organisation(seed, scale_of(scale))
    moment = _moment(as_of)
    tally = Tally()
    with EventProducer(KafkaConnection.of(load_settings()), client_id="okr-simulation") as producer:
        for message in messages(simulated, moment):
            producer.send(message.event)
            tally.add(message)
    _print(report(simulated, moment, tally), tally.as_lines(), as_json=as_json)


@produce.command("live")
def produce_live(
    *,
    seconds: Annotated[float, typer.Option(help="Duration in seconds.")],
    rate: Annotated[float, typer.Option(help="Events per second.")] = 5.0,
    seed: Seed = 1,
    scale: ScaleName = "default",
    as_json: AsJson = False,
) -> None:
    """Send live events from the simulated organisation (check-ins, page views, host metrics), with the current time."""
    from ingestion.producer import EventProducer
    from ingestion.sources.simulator import organisation, scale_of
    from ingestion.sources.simulator.live import live

    if not (0 <= seconds < math.inf and 0 < rate < math.inf):
        raise PermanentError(f"--seconds and --rate expect positive numbers, got {seconds} and {rate}.")
    simulated = organisation(seed, scale_of(scale))
    with EventProducer(KafkaConnection.of(load_settings()), client_id="okr-simulation-live") as producer:
        tally = live(simulated, seconds=seconds, rate=rate, send=producer.send)
    _print({"topics": tally.as_json()}, tally.as_lines(), as_json=as_json)


@produce.command("metrics")
def produce_metrics(
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between samples.")] = 10.0,
) -> None:
    """Send metrics about this host and the platform (CPU, memory, disk, lags, spools) until SIGTERM or Ctrl-C."""
    from ingestion.sources.metrics.collector import collect
    from lakehouse.logs import get_logger

    settings = load_settings()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sent = collect(settings, interval_seconds=interval, stop=stop)
    get_logger(__name__).info("stopped", samples=sent)


@app.command("simulate")
def simulate(
    out: Annotated[Path, typer.Option(help="New or empty output folder.")],
    seed: Seed = 1,
    scale: ScaleName = "default",
    as_of: AsOf = "",
) -> None:
    """Write a simulated organisation to key_results.csv and check_ins.csv, which `okr produce files` can read."""
    from ingestion.sources.simulator import organisation, scale_of
    from ingestion.sources.simulator.csv_files import write_files

    rows = write_files(organisation(seed, scale_of(scale)), _moment(as_of), out)
    for file, count in rows.items():
        typer.echo(f"{out / file}: {count} rows")


@app.command("simulation-probabilities")
def simulation_probabilities(
    forecasts: Annotated[Path, typer.Argument(help="CSV with key_result_id and as_of, from `okr forecast backtest`.")],
    out: Annotated[Path, typer.Option(help="CSV to write: key_result_id, as_of, probability.")],
    seed: Seed = 1,
    scale: ScaleName = "default",
) -> None:
    """Write the true probability that each simulated key result is achieved, for `okr forecast evaluate --compare`."""
    from ingestion.sources.simulator import organisation, scale_of
    from ingestion.sources.simulator.true_probabilities import write_true_probabilities

    rows = write_true_probabilities(organisation(seed, scale_of(scale)), forecasts, out)
    typer.echo(f"{rows} probabilities written to {out}.")


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _moment(text: str) -> datetime:
    now = datetime.now(UTC)
    if not text:
        return now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise PermanentError(f"--as-of expects a time such as 2026-05-01T12:00:00Z, got {text!r}.") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not EARLIEST <= moment <= now:
        raise PermanentError(f"--as-of expects a time from {EARLIEST:%Y} to now, got {text!r}.")
    return moment.astimezone(UTC)


def _print(document: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    # Text from files may contain control characters, which a terminal would interpret, or lone surrogates, which cannot
    # be encoded.
    readable = [printable(line) for line in lines]
    typer.echo(json.dumps(document, indent=2) if as_json else "\n".join(readable))
