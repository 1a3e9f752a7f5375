"""Commands `okr consume`, `okr load` and `okr lake`, and the commands of the sources."""

import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Annotated

import typer

from ingestion.sources.commands import app as sources
from lakehouse.contracts import TOPICS
from lakehouse.errors import NEEDS_INTERVENTION, PermanentError, RetryableError
from lakehouse.lake import require_lake
from lakehouse.readiness import report_alive
from lakehouse.retry import Backoff
from lakehouse.settings import Settings, load_settings

app = typer.Typer()
app.add_typer(sources)
consume = typer.Typer(no_args_is_help=True, help="Consume events from Kafka into the lake or the state tables.")
app.add_typer(consume, name="consume")
lake = typer.Typer(
    no_args_is_help=True,
    help="Inspect, maintain and repair the lake, and prove that no event is missing or duplicated.",
)
app.add_typer(lake, name="lake")

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STABLE_RUN_SECONDS = 60.0  # after a run longer than this, the backoff starts again with the shortest pause

Drain = Annotated[bool, typer.Option(help="Stop at the end of the Kafka log.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@consume.command("land")
def consume_land(drain: Drain = False) -> None:
    """Land events from all topics in the lake, exactly once. On SIGTERM, finish the current batch and stop."""
    from ingestion.landing.consumer import land

    settings = load_settings()
    _keep_running(lambda stop: land(settings, stop, drain=drain), drain=drain)


@consume.command("state")
def consume_state(
    drain: Drain = False,
    from_lake: Annotated[
        bool, typer.Option("--from-lake", help="Apply what the lake has and Kafka lost, then end (after a restore).")
    ] = False,
) -> None:
    """Keep the state tables (app.*) and the live figures in Redis up to date.

    On SIGTERM, finish the current batch and stop.
    """
    from ingestion.state.consumer import consume_state
    from ingestion.state.from_lake import apply_from_lake

    settings = load_settings()
    if from_lake:
        typer.echo(f"Applied {apply_from_lake(settings):,} events from the lake.")
        return
    _keep_running(lambda stop: consume_state(settings, stop, drain=drain), drain=drain)


@app.command("load")
def load_command(as_json: AsJson = False) -> None:
    """Load waiting rows from the lake into the PostgreSQL schema raw, without the gate that okr_etl_dag runs first."""
    from ingestion.loading import load

    rows = load(load_settings())
    typer.echo(json.dumps(rows) if as_json else "\n".join(f"{topic:<20} {count:>10,}" for topic, count in rows.items()))


@lake.command("verify")
def lake_verify(as_json: AsJson = False) -> None:
    """Prove that no event was lost or duplicated between Kafka and raw. Exits with status 1 if this is not proved."""
    from ingestion.ledger import record, verify
    from ingestion.ledger.report import as_document, as_table

    settings = load_settings()
    ledger = verify(settings)
    typer.echo(json.dumps(as_document(ledger), indent=2) if as_json else as_table(ledger))
    record(settings, ledger)
    ledger.require_proved()


@lake.command("maintain")
def lake_maintain(as_json: AsJson = False) -> None:
    """Compact small files, clean up the Delta log, and delete expired files and rows. Other processes can keep running.

    Expired rows are rows of okr_system_metrics that are older than OKR_SYSTEM_METRICS_RETENTION_DAYS. They are deleted
    permanently, from the lake and from raw.
    """
    from ingestion.maintenance import maintain
    from ingestion.maintenance.report import as_documents, as_lines

    tables = maintain(_settings_with_lake())
    if as_json:
        typer.echo(json.dumps(None if tables is None else as_documents(tables)))
    else:
        typer.echo("Another maintenance run is in progress: nothing to do." if tables is None else as_lines(tables))


@lake.command("repair")
def lake_repair() -> None:
    """After a power cut, move a table back to its last intact version if the broker still has the later events.

    Stop all writers first. The later versions are moved to the folder _torn, and landing reads their events again.
    """
    from ingestion.maintenance.repair import repair

    repairs = repair(_settings_with_lake())
    lines = [
        f"{each.topic}: {each.reason}. The table is now at version {each.version}; {each.moved_files} files were moved "
        f"to {each.folder}."
        for each in repairs
    ]
    typer.echo("\n".join([*lines, "Start landing, then run `okr lake verify`."] if lines else ["Nothing is damaged."]))


@lake.command("accept-loss")
def lake_accept_loss(
    yes: Annotated[bool, typer.Option("--yes", help="Accept the loss. Without this option, only list it.")] = False,
) -> None:
    """List events that the broker deleted before they landed. With --yes, record them as lost, so landing can continue.

    First ask the owners of the sources to send the events again.
    """
    from ingestion.maintenance.accept_loss import accept, find_losses

    settings = _settings_with_lake()
    losses = find_losses(settings)
    if not losses:
        typer.echo("For every partition, the broker still has the next offset: nothing is lost.")
        return
    typer.echo("\n".join(["Not landed, and no longer in the broker:", *map(str, losses)]))
    if yes:
        accept(settings, losses)
        typer.echo("Recorded in ops.excused_gap. Start landing, then run `okr lake verify`.")
    else:
        typer.echo("Nothing was changed. To continue without them: `okr lake accept-loss --yes`.")


@lake.command("status")
def lake_status(as_json: AsJson = False) -> None:
    """Show each landing table's version and its numbers of files and rows, without opening data files."""
    from ingestion import lake_status

    tables = lake_status.lake_status(_settings_with_lake().lake_uri)
    typer.echo(json.dumps(tables) if as_json else lake_status.as_lines(tables))


@lake.command("rejected")
def lake_rejected(
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Show at most this many messages, newest first.")] = 20,
    topic: Annotated[str, typer.Option(help="Show only messages of this topic.")] = "",
    reason: Annotated[str, typer.Option(help="Show only messages with this reason, such as not_json.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show messages that violate their contract.

    Each is shown with its time, topic/partition/offset, the reason, and the raw Kafka key, value and headers. With
    --json, keys and values are printed completely, in base64.
    """
    from ingestion.rejected_messages_report import read_rejected
    from lakehouse.field_encryption.open_keys import open_data_keys

    if topic and topic not in TOPICS:
        raise PermanentError(f"There is no topic {topic}; expected one of {', '.join(TOPICS)}.")
    topics = (topic,) if topic else TOPICS
    settings = load_settings()
    keys = open_data_keys(settings)
    found = read_rejected(settings.require("lake_uri"), limit, topics=topics, reason=reason or None, keys=keys)
    if as_json:
        newest = [each.as_json() for each in found.newest]
        typer.echo(json.dumps({"rejected": found.by_reason, "newest": newest}, indent=2))
        return
    lines = [each.as_lines() for each in found.newest]
    counts = ", ".join(f"{name} {count:,}" for name, count in found.by_reason.items())
    lines.append(f"{len(lines)} shown; in total: {counts}." if counts else "No message was rejected.")
    typer.echo("\n".join(lines))


def _settings_with_lake() -> Settings:
    settings = load_settings()
    require_lake(settings.require("lake_uri"), TOPICS)
    return settings


def _keep_running(work: Callable[[threading.Event], int], *, drain: bool) -> None:
    """Run a consumer until a signal stops it. After a transient error, restart it with exponential backoff.

    Raises:
        RetryableError: the consumer failed, and `drain` is set. It is not restarted, because the caller is waiting for
            the result.
        typer.Exit: with status 3 if the error requires manual intervention. A supervisor must not restart a process
            that exits with this status.
    """
    from lakehouse.logs import get_logger, report_error

    log = get_logger(__name__)
    # Batches contain no reference cycles. Searching thousands of messages for them would take a tenth of the CPU time.
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)
    # One thread reads while another one lands. Both mostly run C code that releases the GIL. With the default switch
    # interval, a thread would wait 5 ms to reacquire the GIL after each call.
    sys.setswitchinterval(0.0005)
    # No consumer uses linear algebra, so numpy's threads would only spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    while not stop.is_set():
        started = time.monotonic()
        try:
            rows = work(stop)
        except RetryableError as error:
            if drain:
                raise
            if time.monotonic() - started > STABLE_RUN_SECONDS:
                backoff.reset()
            pause = backoff.pause()
            log.warning("the consumer failed; restarting it", error=str(error), pause_seconds=round(pause, 1))
            report_alive()  # it waits for another server, and does not hang
            stop.wait(pause)
        except PermanentError as error:
            report_error(error)
            raise typer.Exit(NEEDS_INTERVENTION) from error
        else:
            log.info("stopped", rows=rows)
            return
