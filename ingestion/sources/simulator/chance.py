"""Named streams of chance, so that each thing's fate depends on its name alone and not on what was drawn before it."""

import random
from datetime import UTC, date, datetime, time, timedelta


def stream(*name: object) -> random.Random:
    """Return the stream of that name; the same name gives the same numbers in every process."""
    return random.Random("/".join(map(str, name)))  # noqa: S311 - a simulation, nothing secret


def working_moment(chance: random.Random, day: date) -> datetime:
    """Return a second of the working hours (07:00 to 18:59 UTC) of a day."""
    return datetime.combine(day, time(7), tzinfo=UTC) + timedelta(seconds=chance.randrange(12 * 3600))


def lag(chance: random.Random) -> timedelta:
    """Return how long after the fact an app records it: seconds; hours for a phone without a network; rarely days."""
    luck = chance.random()
    if luck < 0.96:
        return timedelta(seconds=chance.expovariate(1 / 2.0))
    if luck < 0.992:
        return timedelta(hours=chance.expovariate(1 / 5.0))
    return timedelta(days=chance.uniform(1.0, 6.0))


def transport(chance: random.Random) -> timedelta:
    """Return how long a recorded event waits before it is sent: mostly under seconds, now and then minutes."""
    if chance.random() < 0.98:
        return timedelta(seconds=chance.expovariate(1 / 0.5))
    return timedelta(minutes=chance.uniform(1.0, 45.0))
