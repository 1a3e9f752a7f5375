"""Commands `okr produce spool …`: show and send events waiting on disk for the broker."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from ingestion.spool.store import SpooledEvent

app = typer.Typer(no_args_is_help=True, help="Show or send events that are waiting on this host's disk for the broker.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]
SHOWN_REJECTED = 20


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Show, for each source, the number of waiting events, the age of the oldest one, and the rejected events."""
    from ingestion.spool.store import Spool, spooled_sources

    settings = load_settings()
    spools = [Spool.of(settings, source) for source in spooled_sources(settings.spool_dir)]
    states = {spool.source: spool.state() for spool in spools}
    rejected = {spool.source: spool.rejected(SHOWN_REJECTED) for spool in spools if states[spool.source].rejected}
    if as_json:
        document = {
            source: asdict(state) | {"rejected_events": _as_json(rejected.get(source, []))}
            for source, state in states.items()
        }
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(f"{'source':<24} {'waiting':>9} {'rejected':>8} {'MB':>8} {'oldest, s':>10}")
    for source, state in states.items():
        megabytes = state.bytes / 1e6
        line = f"{source:<24} {state.waiting:>9,} {state.rejected:>8,} {megabytes:>8.1f} {state.oldest_seconds:>10,.0f}"
        typer.echo(line)
    for source, events in rejected.items():
        for event, why in events:
            typer.echo(f"rejected permanently: {source} {event.topic} position {event.position}: {why}")


@app.command("drain")
def drain(
    seconds: Annotated[float, typer.Option(min=0.1, help="Time limit per source, in seconds.")] = 60.0,
    rejected: Annotated[bool, typer.Option("--rejected", help="Also retry events that the broker rejected.")] = False,
) -> None:
    """Send the waiting events now, oldest first. Exits with status 1 if any are left."""
    from ingestion.spool.drain import Drainer
    from ingestion.spool.store import Spool, spooled_sources

    settings = load_settings()
    kafka = KafkaConnection.of(settings)
    left = 0
    for source in spooled_sources(settings.spool_dir):
        spool = Spool.of(settings, source)
        if rejected:
            spool.requeue_rejected()
        drainer = Drainer(spool, kafka)
        try:
            sent = drainer.drain(seconds).sent
        finally:
            drainer.close()
        left += spool.state().waiting
        typer.echo(f"{source}: {sent} sent")
    if left:
        raise RetryableError(
            f"Events still waiting: {left}. None has been lost. Check the broker (`make status`) and run the command "
            "again."
        )


@app.command("measure")
def measure(
    folder: Annotated[Path, typer.Option(help="The folder that has the state folders of all services.")],
) -> None:
    """Write the state of all services' spools to spools.prom in OKR_METRICS_DIR. Servers do it every 2 minutes."""
    from ingestion.spool.measure import spools_of_services, write_metrics
    from ingestion.spool.store import Limits

    settings = load_settings()
    states = spools_of_services(folder, Limits(settings.spool_events, settings.spool_bytes))
    try:
        path = write_metrics(settings.metrics_dir, states)
    except OSError as error:
        raise PermanentError(
            f"The metrics of spools cannot be written ({error}). Expected OKR_METRICS_DIR ({settings.metrics_dir}) to "
            "be a folder in which this user may write."
        ) from error
    typer.echo(f"{path} has {len(states)} spools.")


def _as_json(rejected: "list[tuple[SpooledEvent, str]]") -> list[dict[str, str | int]]:
    return [{"topic": event.topic, "position": event.position, "why": why} for event, why in rejected]
