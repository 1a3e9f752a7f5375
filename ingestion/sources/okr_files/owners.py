"""Owners who are in one team first and in another later, as the rows of their key results tell."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from ingestion.sources.okr_files.rows import KeyResultRow
from lakehouse.contracts.user import UserDefined


class OwnerMoves:
    """Decides, in the order of time, which rows say something new of their owner.

    An owner moves on the first day of a cycle in which they have key results, but none of the team so far: who has key
    results in two teams at once stays. Nobody moves to another organisation, for an address is an id of one.
    """

    def __init__(self, rows: Iterable[KeyResultRow]) -> None:
        self._told: dict[str, tuple[str, str]] = {}
        self._teams: dict[tuple[str, date], set[tuple[str, str]]] = defaultdict(set)
        for row in rows:
            if row.owner_email:
                self._teams[row.owner_email, row.cycle_start].add((row.organisation, row.team))

    def is_told(self, owner: UserDefined, row: KeyResultRow) -> bool:
        """Return whether a row, which comes after those asked for before, is the first to say where its owner is."""
        team = row.organisation, row.team
        before = self._told.get(owner.user_id)
        if before is not None and (
            row.organisation != before[0] or before in self._teams[owner.user_id, row.cycle_start]
        ):
            return False
        self._told[owner.user_id] = team
        return True
