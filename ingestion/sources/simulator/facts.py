"""A fact and when it is told: what happened, when, when it was recorded, and when it reaches the log."""

from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

import msgspec

from ingestion.sources.simulator.randomness import recording_delay, sending_delay


class Fact(NamedTuple):
    """One event to be. Facts are sent in the order of `sent_at`; `name` is unique and makes the event's id."""

    sent_at: datetime
    name: str
    occurred_at: datetime
    recorded_at: datetime
    data: msgspec.Struct


def delayed_fact(rng: Random, name: str, occurred_at: datetime, data: msgspec.Struct) -> Fact:
    """Return a fact of a person's app: recorded after a lag, sent after another."""
    recorded_at = occurred_at + recording_delay(rng)
    return Fact(recorded_at + sending_delay(rng), name, occurred_at, recorded_at, data)


def immediate_fact(rng: Random, name: str, occurred_at: datetime, data: msgspec.Struct) -> Fact:
    """Return a fact of a server: recorded and sent within a second or two, so that what builds on it comes later."""
    recorded_at = occurred_at + timedelta(seconds=rng.random())
    return Fact(recorded_at, name, occurred_at, recorded_at, data)
