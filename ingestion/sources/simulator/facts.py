"""Represent a fact with its three times: when it occurred, was recorded, and was sent."""

from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

import msgspec

from ingestion.sources.simulator.randomness import recording_delay, sending_delay


class Fact(NamedTuple):
    """A fact that becomes one event. They are sent in order of `sent_at`; the unique `name` determines the event id."""

    sent_at: datetime
    name: str
    occurred_at: datetime
    recorded_at: datetime
    data: msgspec.Struct


def delayed_fact(rng: Random, name: str, occurred_at: datetime, data: msgspec.Struct) -> Fact:
    """Return a fact from a user's app, with a recording delay and a sending delay."""
    recorded_at = occurred_at + recording_delay(rng)
    return Fact(recorded_at + sending_delay(rng), name, occurred_at, recorded_at, data)


def immediate_fact(rng: Random, name: str, occurred_at: datetime, data: msgspec.Struct) -> Fact:
    """Return a fact from a server, recorded and sent within a second, so that dependent facts come later."""
    recorded_at = occurred_at + timedelta(seconds=rng.random())
    return Fact(recorded_at, name, occurred_at, recorded_at, data)
