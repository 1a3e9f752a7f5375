"""`okr consume`, `okr load`, `okr lake` and the commands of the sources."""

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
from lakehouse.errors import NEEDS_INTERVENTION, InvariantBroken, PermanentError, RetryableError
from lakehouse.lake import require_lake
from lakehouse.settings import Settings, load_settings

app = typer.Typer()
app.add_typer(sources)
consume = typer.Typer(no_args_is_help=True, help="Keep the lake, or the state tables, up to date with Kafka.")
app.add_typer(consume, name="consume")
lake = typer.Typer(
    no_args_is_help=True, help="The lake's ledger: what is in it, and that nothing is missing or double."
)
app.add_typer(lake, name="lake")

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0  # a consumer that ran for longer was well: its next failure is a new one

Drain = Annotated[bool, typer.Option(help="End when everything that Kafka holds was read.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


@consume.command("land")
def consume_land(drain: Drain = False) -> None:
    """Land events of all topics in the lake, exactly once; SIGTERM ends it after the batch in hand."""
    from ingestion.landing.consumer import land

    settings = load_settings()
    _keep_running(lambda stop: land(settings, stop, drain=drain), drain=drain)


@consume.command("state")
def consume_state(drain: Drain = False) -> None:
    """Keep app.users, app.okrs and the figures in Redis up to date; SIGTERM ends it after the batch in hand."""
    from ingestion.state.consumer import consume_state

    settings = load_settings()
    _keep_running(lambda stop: consume_state(settings, stop, drain=drain), drain=drain)


@app.command("load")
def load_command(as_json: AsJson = False) -> None:
    """Load what waits in the lake into PostgreSQL's schema raw, without asking the gate (okr_etl_dag asks it first)."""
    from ingestion.loading import load

    rows = load(load_settings())
    typer.echo(json.dumps(rows) if as_json else "\n".join(f"{topic:<20} {count:>10,}" for topic, count in rows.items()))


@lake.command("verify")
def lake_verify(as_json: AsJson = False) -> None:
    """Prove that every event is landed once and loaded once; exit status 1 when not, or when that cannot be told."""
    from ingestion.ledger import record, verify
    from ingestion.ledger.report import as_document, as_table

    settings = load_settings()
    ledger = verify(settings)
    typer.echo(json.dumps(as_document(ledger), indent=2) if as_json else as_table(ledger))
    record(settings, ledger)
    if ledger.checked_nothing:
        raise InvariantBroken(
            f"The ledger proves nothing: the lake at {settings.lake_uri} is empty, but the broker is not, or did not "
            "answer. Is OKR_LAKE_URI right?"
        )
    if not ledger.passed:
        raise InvariantBroken("The ledger is broken, see above. Read docs/runbooks/lake-verify.md before you write.")
    if not all(topic.is_broker_known for topic in ledger.topics):
        raise RetryableError(
            "Nothing is wrong with what has landed, but whether all has landed is not proven: the broker could not be "
            "asked. Start it (`make status`), then verify again."
        )


@lake.command("maintain")
def lake_maintain(as_json: AsJson = False) -> None:
    """Join small files, shorten the Delta log, delete what the retention no longer needs; safe beside everything."""
    from ingestion.maintenance import maintain
    from ingestion.maintenance.report import as_documents, as_lines

    tables = maintain(_settings_with_lake())
    if as_json:
        typer.echo(json.dumps(None if tables is None else as_documents(tables)))
    else:
        typer.echo("Another maintenance run is in progress: nothing to do." if tables is None else as_lines(tables))


@lake.command("repair")
def lake_repair() -> None:
    """After a power cut: set torn versions aside where the broker still has their events. Stop the writers first."""
    from ingestion.maintenance.repair import repair

    repairs = repair(_settings_with_lake())
    lines = [
        f"{each.topic}: {each.reason}. Its version is {each.version} now; {each.set_aside} files lie in {each.folder}."
        for each in repairs
    ]
    typer.echo("\n".join([*lines, "Start landing, then run `okr lake verify`."] if lines else ["Nothing is damaged."]))


@lake.command("accept-loss")
def lake_accept_loss(
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this, say only what is lost.")] = False,
) -> None:
    """Go on where the broker deleted events before they landed; they stay noted as lost. Ask the sources first."""
    from ingestion.maintenance.accept_loss import accept, find_losses

    settings = _settings_with_lake()
    losses = find_losses(settings)
    if not losses:
        typer.echo("The broker has every offset that comes next: nothing is lost.")
        return
    typer.echo("\n".join(["Never landed, and the broker no longer has them:", *map(str, losses)]))
    if yes:
        accept(settings, losses)
        typer.echo("Noted in ops.excused_gap. Start landing, then run `okr lake verify`.")
    else:
        typer.echo("Nothing was changed. To go on without them: `okr lake accept-loss --yes`.")


@lake.command("status")
def lake_status(as_json: AsJson = False) -> None:
    """Show each landing table's version, files and rows; cheap, proves nothing."""
    from ingestion import lake_status

    tables = lake_status.lake_status(_settings_with_lake().lake_uri)
    typer.echo(json.dumps(tables) if as_json else lake_status.as_lines(tables))


@lake.command("rejected")
def lake_rejected(
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    topic: Annotated[str, typer.Option(help="Those of one topic.")] = "",
    reason: Annotated[str, typer.Option(help="Those with one reason, such as not_json.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show messages that broke their contract: when, topic/partition/offset, why, key, value and headers as they came.

    With --json the bytes are whole, in base64.
    """
    from ingestion.rejected_messages import read_rejected

    if topic and topic not in TOPICS:
        raise PermanentError(f"There is no topic {topic}; there are {', '.join(TOPICS)}.")
    topics = (topic,) if topic else TOPICS
    found = read_rejected(load_settings().require("lake_uri"), limit, topics=topics, reason=reason or None)
    if as_json:
        newest = [each.as_json() for each in found.newest]
        typer.echo(json.dumps({"rejected": found.by_reason, "newest": newest}, indent=2))
        return
    lines = [each.as_lines() for each in found.newest]
    counts = ", ".join(f"{name} {count:,}" for name, count in found.by_reason.items())
    lines.append(f"{len(lines)} shown; there are: {counts}." if counts else "No message was rejected.")
    typer.echo("\n".join(lines))


def _settings_with_lake() -> Settings:
    settings = load_settings()
    require_lake(settings.require("lake_uri"), TOPICS)
    return settings


def _keep_running(work: Callable[[threading.Event], int], *, drain: bool) -> None:
    """Run a consumer until a signal ends it; what may pass is tried again, with pauses that grow.

    Raises:
        RetryableError: only with `drain`, where somebody waits for the end.
        typer.Exit: with status 3, at what somebody has to mend first: no supervisor should start it again.
    """
    from lakehouse.logs import get_logger

    log = get_logger(__name__)
    # Messages by the thousand, which refer to nothing: looking for cycles among them costs a tenth of the time and
    # finds none.
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)
    # One thread reads while the other lands, mostly in C without the interpreter's lock; to get it back after each call
    # it would wait 5 ms by default.
    sys.setswitchinterval(0.0005)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's, which would spin: nothing here is algebra
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pause = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        begun = time.monotonic()
        try:
            rows = work(stop)
        except RetryableError as error:
            if drain:
                raise
            if time.monotonic() - begun > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.warning("stopped, starts again", error=str(error), pause_seconds=pause)
            stop.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        except PermanentError as error:
            sys.stderr.write(f"okr: {error}\n")
            raise typer.Exit(NEEDS_INTERVENTION) from error
        else:
            log.info("ended", rows=rows)
            return
