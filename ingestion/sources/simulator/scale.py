"""Define the sizes of simulated organisations and the calendar of quarters."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from lakehouse.errors import PermanentError

CYCLES = 6  # five that have ended and the current one


@dataclass(frozen=True)
class Scale:
    """The size of an organisation. `views_per_workday` is per user, `host_every_hours` the interval of host metrics."""

    name: str
    teams: int
    users: int
    hosts: int
    host_every_hours: int
    views_per_workday: float


SCALES = {
    "default": Scale("default", teams=40, users=300, hosts=4, host_every_hours=3, views_per_workday=0.9),
    # Ten times the default size, but with the same number of hosts.
    "large": Scale("large", teams=400, users=3_000, hosts=4, host_every_hours=3, views_per_workday=0.9),
    "small": Scale("small", teams=4, users=24, hosts=2, host_every_hours=24, views_per_workday=0.3),
}


@dataclass(frozen=True)
class Cycle:
    """A calendar quarter; `end` is its last day, inclusive."""

    name: str
    start: date
    end: date

    @property
    def days(self) -> int:
        """The number of days from the first to the last, which is the denominator of elapsed ratios."""
        return (self.end - self.start).days


def scale_of(name: str) -> Scale:
    """Return a scale by its name.

    Raises:
        PermanentError: there is no scale with that name.
    """
    if name not in SCALES:
        raise PermanentError(f"There is no scale {name!r}; expected one of {', '.join(SCALES)}.")
    return SCALES[name]


def quarter_of(day: date) -> Cycle:
    """Return the quarter that contains a day."""
    quarter = (day.month - 1) // 3
    start = date(day.year, 3 * quarter + 1, 1)
    following = date(day.year + quarter // 3, (3 * quarter + 3) % 12 + 1, 1)
    return Cycle(f"{day.year}-Q{quarter + 1}", start, following - timedelta(days=1))


def cycles_until(as_of: datetime) -> list[Cycle]:
    """Return the quarters that the simulation covers, oldest first; the last one contains `as_of`."""
    found = [quarter_of(as_of.date())]
    while len(found) < CYCLES:
        found.insert(0, quarter_of(found[0].start - timedelta(days=1)))
    return found
