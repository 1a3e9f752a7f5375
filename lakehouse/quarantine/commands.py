"""`okr quarantine`: events that are withheld from the marts, or flagged by a rule."""

import getpass
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from lakehouse.quarantine import Decision

app = typer.Typer(no_args_is_help=True, help="Review flagged and withheld events: list, release, withhold.")
SHOWN_IDS = 100  # in the audit log

Ids = Annotated[list[UUID], typer.Argument(help="Event ids, as shown by `okr quarantine list`.")]
Reason = Annotated[str | None, typer.Option(help="The reason, recorded with the decision.")]
Withheld = Annotated[bool, typer.Option("--withheld", help="Show only withheld events.")]
Limit = Annotated[int, typer.Option(min=1, help="Show at most this many events.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


@app.command("list")
def list_(withheld: Withheld = False, limit: Limit = 100, as_json: AsJson = False) -> None:
    """Show the flagged and withheld events of the current publication, withheld ones first."""
    from lakehouse import quarantine
    from lakehouse.settings import load_settings

    dsn = load_settings().require("dsn_serving")
    events = quarantine.events_for_review(dsn, withheld_only=withheld, limit=limit)
    for event in events:
        if as_json:
            typer.echo(json.dumps(asdict(event), default=str))
        else:
            state = "withheld" if event.is_withheld else "counts"
            decided = f"\t{event.decision}" if event.decision else ""
            typer.echo(f"{event.event_id}\t{state}\t{event.rule}\t{event.reason}{decided}")
    pending = [] if as_json else quarantine.pending_decisions(dsn)
    for each in pending:
        typer.echo(f"{each.event_id}\tpending\t{each.rule}\t{each.decision}: not published yet")
    if not events and not pending and not as_json:
        typer.echo("No event is withheld." if withheld else "No event is flagged or withheld.")


@app.command()
def release(ids: Ids, reason: Reason = None) -> None:
    """Include events that a rule or an operator withheld. They are in the marts from the next publication on."""
    _decide(ids, "release", reason)


@app.command()
def withhold(ids: Ids, reason: Reason = None) -> None:
    """Exclude events from the state tables and from all marts except fct_reviewed_event, which lists them.

    Their rows stay in raw and in the lake.
    """
    _decide(ids, "withhold", reason)


def _decide(ids: list[UUID], decision: "Decision", reason: str | None) -> None:
    from lakehouse import quarantine
    from lakehouse.operator_actions import recorded
    from lakehouse.settings import load_settings

    events = sorted(str(each) for each in set(ids))
    with recorded(f"event.{decision}", events[0] if len(events) == 1 else "events") as details:
        details |= {"events": len(events), "event_ids": events[:SHOWN_IDS]}
        quarantine.decide(load_settings().require("dsn_transform"), ids, decision, by=_who(), reason=reason)
    count = len(set(ids))
    typer.echo(f"{decision}: {count} {'event' if count == 1 else 'events'}. {quarantine.WHEN_APPLIED}")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without an entry in /etc/passwd
        return "unknown"
