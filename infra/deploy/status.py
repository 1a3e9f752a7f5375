"""What is deployed on this host: colours, workers, and the last deployment."""

from collections.abc import Iterator
from typing import TypeGuard

from infra.deploy import links
from infra.deploy.api_client import ColourClient
from infra.deploy.host import COLOURS, Host
from infra.deploy.journal import Entry, Journal
from infra.deploy.units import Units, running_release


def status_lines(host: Host, units: Units) -> Iterator[str]:
    """Yield lines for an operator. Nothing is changed, and no lock is needed."""
    serving = links.serving_colour(host)
    for colour in COLOURS:
        release = running_release(host, units, host.api_unit(colour))
        state = "stopped"
        if release is not None:
            with ColourClient(host.socket(colour)) as client:
                state = "ready" if client.is_ready() else "not ready"
        yield f"{colour:<28} {release or '-':<20} {state}{', serves' if colour == serving else ''}"
    for unit in (*host.landing, *host.workers):
        release = running_release(host, units, unit)
        if release is not None:
            yield f"{unit:<28} {release:<20} running"
    journal = Journal(host.state)
    last, newest = journal.last(), journal.last_line()
    if last is not None and last.is_interrupted:
        yield f"Running or interrupted: {last.kind} of {last.release}, started {last.started_at}, step {last.step}."
        yield "If it does not run, repeat the command to continue it, or run `okr deploy rollback` to undo it."
    elif newest is not None:
        yield _sentence(newest)
    if last is None or not last.is_interrupted:
        yield (
            f"`okr deploy rollback` goes back to {last.previous}."
            if _can_go_back(last, host)
            else "There is no release to roll back to."
        )


def _can_go_back(last: Entry | None, host: Host) -> TypeGuard[Entry]:
    if last is None or last.previous is None or last.is_contracted:
        return False
    return (host.root / "releases" / last.previous).is_dir()


def _sentence(entry: Entry) -> str:
    return f"Last deployment: {entry.kind} of {entry.release}, {entry.started_at} to {entry.ended_at}: {entry.outcome}."
