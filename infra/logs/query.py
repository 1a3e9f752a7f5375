"""What `okr logs` is asked for: services, least level, period and request."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from infra.logs.entry import Entry
from lakehouse.errors import PermanentError
from lakehouse.log_records.schema import LEVELS, level_of

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
REORDERED = 512  # the lines of the processes of a service are in order but for a few


@dataclass(frozen=True)
class Query:
    """The filter. No services means all."""

    services: Collection[str] = ()
    severity: int = 0
    since: datetime | None = None
    until: datetime | None = None
    request_id: str = ""

    def matches(self, entry: Entry) -> bool:
        """Return whether an entry is wanted."""
        return (
            entry.severity >= self.severity
            and (self.since is None or entry.time >= self.since)
            and (self.until is None or entry.time < self.until)
            and (
                not self.request_id or self.request_id in (entry.fields.get("request_id"), entry.fields.get("trace_id"))
            )
        )


def severity_of(name: str) -> int:
    """Return the number of a level.

    Raises:
        PermanentError: there is no such level.
    """
    if (level := level_of(name)) is None:
        raise PermanentError(f"There is no level {name!r}. Expected one of {', '.join(LEVELS)}.")
    return LEVELS[level]


def duration(text: str) -> timedelta:
    """Return a duration such as 90s, 10m, 2h, 3d or 1w.

    Raises:
        PermanentError: it has another form.
    """
    if (found := _AGO.fullmatch(text.strip())) is None:
        raise PermanentError(f"{text!r} is not a duration. Expected a number with a unit: 90s, 10m, 2h, 3d or 1w.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def moment(text: str, now: datetime) -> datetime:
    """Return a time: a duration before now, or an ISO date with or without time, in UTC unless it has an offset.

    Raises:
        PermanentError: it has another form.
    """
    if _AGO.fullmatch(text.strip()):
        return now - duration(text)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise PermanentError(
            f"{text!r} is not a time. Expected how long ago (10m, 2h, 3d), or a date with or without time in UTC "
            "(2026-11-29, 2026-11-29T12:00)."
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Return the entries of one service in the order of their times, which several processes wrote almost in order."""
    waiting: list[tuple[datetime, int, Entry]] = []
    for number, entry in enumerate(entries):
        heappush(waiting, (entry.time, number, entry))
        if len(waiting) > REORDERED:
            yield heappop(waiting)[2]
    while waiting:
        yield heappop(waiting)[2]
