"""Owners who are in one team first and in another later, as the rows of their key results tell."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

from ingestion.sources.okr_files.row_parsing import KeyResultRow

Span = tuple[date, date, str]


def owner_moves(rows: Iterable[KeyResultRow]) -> dict[tuple[str, date], KeyResultRow]:
    """Return, by owner and day, where an owner is from that day on: a row of the team. `rows` come in order of start.

    An owner moves on the first day on which cycles of their key results run, but none of the team so far: who has key
    results in two teams at once stays. Nobody moves to another organisation, for an address is an id of one.
    """
    spans: dict[str, dict[Span, KeyResultRow]] = defaultdict(dict)
    organisations: dict[str, str] = {}
    for row in rows:
        if row.owner_email and organisations.setdefault(row.owner_email, row.organisation) == row.organisation:
            spans[row.owner_email].setdefault((row.cycle_start, row.cycle_end, row.team), row)
    return {(owner, day): row for owner, found in spans.items() for day, row in _moves(found)}


def _moves(spans: dict[Span, KeyResultRow]) -> Iterable[tuple[date, KeyResultRow]]:
    """Yield the days on which an owner comes into a team, the first one included."""
    days = {start for start, _, _ in spans} | {end + timedelta(days=1) for _, end, _ in spans if end < date.max}
    team = None
    for day in sorted(days):
        running = [row for (start, end, _), row in spans.items() if start <= day <= end]
        if running and team not in {row.team for row in running}:
            team = running[0].team
            yield day, running[0]
