"""Determine which team each owner belongs to over time, from the rows of their key results."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

from ingestion.sources.okr_files.row_parsing import KeyResultRow

Span = tuple[date, date, str]


def owner_moves(rows: Iterable[KeyResultRow]) -> dict[tuple[str, date], KeyResultRow]:
    """Return, by owner and day, a row of the team that the owner joins on that day. `rows` must be in order of start.

    An owner moves on the first day on which all their running key results belong to other teams. While one of them
    still belongs to the current team, the owner does not move. Owners never move to another organisation, because the
    e-mail address is the user's id, and a user belongs to one organisation.
    """
    spans: dict[str, dict[Span, KeyResultRow]] = defaultdict(dict)
    organisations: dict[str, str] = {}
    for row in rows:
        if row.owner_email and organisations.setdefault(row.owner_email, row.organisation) == row.organisation:
            spans[row.owner_email].setdefault((row.cycle_start, row.cycle_end, row.team), row)
    return {(owner, day): row for owner, found in spans.items() for day, row in _moves(found)}


def _moves(spans: dict[Span, KeyResultRow]) -> Iterable[tuple[date, KeyResultRow]]:
    """Yield the days on which an owner joins a team, including the first team."""
    days = {start for start, _, _ in spans} | {end + timedelta(days=1) for _, end, _ in spans if end < date.max}
    team = None
    for day in sorted(days):
        running = [row for (start, end, _), row in spans.items() if start <= day <= end]
        if running and team not in {row.team for row in running}:
            team = running[0].team
            yield day, running[0]
