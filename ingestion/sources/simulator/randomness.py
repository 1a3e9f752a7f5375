"""Provide one random stream per name, so that an entity depends only on its name, not on what was drawn before."""

import random
from datetime import UTC, date, datetime, time, timedelta


def random_stream(*name: object) -> random.Random:
    """Return the random stream of a name; the same name gives the same numbers in every process."""
    return random.Random("/".join(map(str, name)))  # noqa: S311 - a simulation, no secrets


def working_moment(rng: random.Random, day: date) -> datetime:
    """Return a random time within the working hours of a day (07:00 to 18:59 UTC), with a resolution of one second."""
    return datetime.combine(day, time(7), tzinfo=UTC) + timedelta(seconds=rng.randrange(12 * 3600))


def recording_delay(rng: random.Random) -> timedelta:
    """Return the delay until an app records a fact: usually seconds, hours if a phone is offline, rarely days."""
    draw = rng.random()
    if draw < 0.96:
        return timedelta(seconds=rng.expovariate(1 / 2.0))
    if draw < 0.992:
        return timedelta(hours=rng.expovariate(1 / 5.0))
    return timedelta(days=rng.uniform(1.0, 6.0))


def sending_delay(rng: random.Random) -> timedelta:
    """Return the delay until a recorded event is sent: usually less than a second, sometimes minutes."""
    if rng.random() < 0.98:
        return timedelta(seconds=rng.expovariate(1 / 0.5))
    return timedelta(minutes=rng.uniform(1.0, 45.0))
