"""Represent a fact with its three times: when it occurred, when it was recorded and when it was sent."""

from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

import msgspec

from ingestion.sources.simulator.randomness import recording_delay, sending_delay


class Fact(NamedTuple):
    """A fact that becomes one event. `sent_at` determines the order of sending, the unique `name` the event id."""

    sent_at: datetime
    name: str
    occurred_at: datetime
    recorded_at: datetime
    data: msgspec.Struct


def delayed_fact(rng: Random, name: str, occurred_at: datetime, data: msgspec.Struct) -> Fact:
    """Return a fact from a user's app, which is recorded and sent with random delays."""
    recorded_at = occurred_at + recording_delay(rng)
    return Fact(recorded_at + sending_delay(rng), name, occurred_at, recorded_at, data)


def immediate_fact(rng: Random, name: str, occurred_at: datetime, data: msgspec.Struct) -> Fact:
    """Return a fact from a server, which is recorded and sent within a second and therefore before dependent facts."""
    recorded_at = occurred_at + timedelta(seconds=rng.random())
    return Fact(recorded_at, name, occurred_at, recorded_at, data)
