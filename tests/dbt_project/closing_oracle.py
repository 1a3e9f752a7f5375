"""Random histories of key results carried from cycle to cycle, and the expected cycle of each check-in by ADR 19.

The marts and the state tables (schema `app`) compute the same in SQL, for all key results together.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from lakehouse.contracts.cycle import DAYS_TO_CLOSE

DEFINED = datetime(2025, 12, 1, tzinfo=UTC)
EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Cycle:
    """A cycle, and when it was closed if it was."""

    name: str
    start: date
    end: date
    closed_at: datetime | None = None

    @property
    def begins_at(self) -> datetime:
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)

    @property
    def ended_at(self) -> datetime:
        days = timedelta(days=(self.end - self.start).days + 1)
        return min(self.begins_at + days, self.closed_at or EVER)


@dataclass
class CheckIn:
    """A check-in that was sent."""

    at: datetime
    is_final: bool = True


@dataclass
class History:
    """Definitions (time and cycle), check-ins, and times of archiving, each until the next definition."""

    moves: list[tuple[datetime, Cycle]]
    check_ins: list[CheckIn]
    archived_at: datetime | None = None

    def is_archived(self, at: datetime) -> bool:
        if self.archived_at is None or at < self.archived_at:
            return False
        return all(not self.archived_at < moved_at <= at for moved_at, _ in self.moves)


@dataclass
class Stay:
    """An uninterrupted time in one cycle."""

    cycle: Cycle
    from_at: datetime
    to_at: datetime
    closing: list[CheckIn] = field(default_factory=list)

    @property
    def is_at_end(self) -> bool:
        return self.from_at < self.cycle.ended_at <= self.to_at


def counted(history: History) -> dict[datetime, tuple[str, bool]]:
    """Return the cycle of each check-in by its time, and whether it closes that cycle."""
    stays, late = stays_of(history), dict[datetime, Cycle]()
    past: Stay | None = None
    for stay in stays:
        closing = [each for each in _within(history, stay) if _is_closing(history, each, stay.cycle)]
        stay.closing = list(closing)
        final = next((each for each in closing if each.is_final), None)
        if past and final and _is_late(history, final, past, stay.cycle):
            late[final.at] = past.cycle
            stay.closing.remove(final)
        past = stay
    found, counting = {}, stays[-1].cycle
    for stay in reversed(stays):
        if stay.is_at_end or stay.closing:
            counting = stay.cycle
        for each in _within(history, stay):
            cycle = late.get(each.at, counting)
            found[each.at] = cycle.name, _is_closing(history, each, cycle)
    return found


def stays_of(history: History) -> list[Stay]:
    """Return the stays of the key result in order of time; a move takes effect when its cycle starts."""
    (defined_at, first), *moves = history.moves
    stays = [Stay(first, defined_at, EVER)]
    for at, cycle in moves:
        if cycle != stays[-1].cycle:
            stays[-1].to_at = max(at, cycle.begins_at)
            stays.append(Stay(cycle, stays[-1].to_at, EVER))
    return stays


def _within(history: History, stay: Stay) -> list[CheckIn]:
    return sorted(
        (sent for sent in history.check_ins if stay.from_at <= sent.at < stay.to_at), key=lambda sent: sent.at
    )


def _is_closing(history: History, sent: CheckIn, cycle: Cycle) -> bool:
    is_correction = cycle.closed_at is not None and sent.at > cycle.closed_at
    return (sent.is_final or is_correction) and not history.is_archived(sent.at)


def _is_late(history: History, sent: CheckIn, past: Stay, cycle: Cycle) -> bool:
    """Whether a stay's first closing check-in closes the previous cycle instead of its own."""
    was_archived = history.is_archived(past.cycle.ended_at - timedelta.resolution)
    is_open = past.is_at_end and not past.closing and not was_archived
    half = ((cycle.end - cycle.start).days + 1) // 2
    return is_open and sent.at.date() <= past.cycle.end + timedelta(days=min(DAYS_TO_CLOSE, half))


def _consecutive(prefix: str, starts: list[date], closings: Mapping[int, int] | None = None) -> list[Cycle]:
    """Make consecutive cycles; `closings` gives for some of them the days from the last day to the closing."""
    cycles = []
    for number, (start, following) in enumerate(pairwise(starts)):
        end, days = following - timedelta(days=1), (closings or {}).get(number)
        closed_at = None if days is None else datetime(end.year, end.month, end.day, 12, tzinfo=UTC) + timedelta(days)
        cycles.append(Cycle(f"{prefix}{number}", start, end, closed_at))
    return cycles


FIRSTS = [date(2026, month, 1) for month in range(1, 9)]
MONTHS = _consecutive("month", FIRSTS)
CLOSED_MONTHS = _consecutive("closed-month", FIRSTS, {0: 5, 1: -4, 3: 2, 4: -25, 5: 12})
SPRINTS = _consecutive("sprint", [date(2026, 1, 5) + timedelta(days=14 * number) for number in range(9)])
QUARTERS = _consecutive("quarter", [date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 1), date(2026, 10, 1)])
YEAR = Cycle("year", date(2026, 1, 1), date(2026, 12, 31))
FAMILIES = (MONTHS, CLOSED_MONTHS, SPRINTS, QUARTERS)


def at_random(dice: random.Random) -> History:
    """Draw a history: planned ahead or late, sometimes through a wrong cycle; closed early, late or never."""
    cycles = dice.choice(FAMILIES)
    days = (cycles[0].end - cycles[0].start).days + 1
    moves, check_ins = [(DEFINED, cycles[0])], list[CheckIn]()
    number = 0
    while True:
        present = cycles[number]
        started = max(moves[-1][0], present.begins_at)
        for _ in range(dice.choice((0, 1, 1, 1, 1, 2, 3))):
            after = dice.uniform(0, days / 4 if dice.random() < 0.6 else days * 1.2)
            check_ins.append(CheckIn(started + timedelta(days=after), is_final=dice.random() < 0.8))
        number += dice.choice((1, 1, 1, 1, 2))
        if number >= len(cycles) or dice.random() < 0.05:
            break
        _move(dice, moves, cycles[number], days)
    span = (moves[-1][0] - DEFINED).days
    is_archived = dice.random() < 0.3
    archived_at = DEFINED + timedelta(days=dice.uniform(31, 31 + span)) if is_archived else None
    return History(moves, check_ins, archived_at)


def _move(dice: random.Random, moves: list[tuple[datetime, Cycle]], following: Cycle, days: int) -> None:
    if dice.random() < 0.4:
        moves.append((following.begins_at - timedelta(days=dice.uniform(0.1, days / 5)), following))
        return
    at = following.begins_at + timedelta(days=dice.uniform(0, days / 3))
    if dice.random() < 0.2:
        moves.append((at, YEAR))
        at += timedelta(days=dice.uniform(0.1, 2))
    moves.append((at, following))
