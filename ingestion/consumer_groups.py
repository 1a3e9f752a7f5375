"""Noun: consumer group. Sinks keep their offsets under its name: a group of another name reads everything anew.

In Kafka each lake and each database has a group of its own, named by its place. In one for all, a worker that is
started with a wrong OKR_LAKE_URI would take partitions away from the right ones, and the group's offsets would look
well. As it is, such a worker lands everything a second time, elsewhere, and takes nothing away.
"""

from hashlib import sha256
from pathlib import Path

from lakehouse.settings import Settings
from lakehouse.warehouse import parts_of

LANDING_GROUP = "okr-landing"
STATE_GROUP = "okr-state"
STATE_TOPIC = "okr_user_events"  # the only one that it reads


def landing_group(settings: Settings) -> str:
    """Return Kafka's name of the group of all workers that land in this lake. They must spell its place alike."""
    uri = settings.require("lake_uri")
    return _named(LANDING_GROUP, uri.rstrip("/") if "://" in uri else str(Path(uri).resolve()))


def state_group(settings: Settings) -> str:
    """Return Kafka's name of the group of all consumers that keep this database's state, whoever they log in as.

    Raises:
        PermanentError: the DSN cannot be read.
    """
    parts = parts_of(settings.require("dsn_loader"))
    return _named(STATE_GROUP, f"{parts['host']}:{parts['port']}/{parts['dbname']}")


def _named(group: str, place: str) -> str:
    return f"{group}-{sha256(place.encode()).hexdigest()[:12]}"
