"""Names of the consumer groups.

Sinks store offsets under these names, so a group that is renamed reads everything again.

In Kafka, each lake and each database has its own group, named after its location. If lakes shared a group, a worker
started with a wrong OKR_LAKE_URI would take partitions from the other workers, and the group's offsets would still look
correct. With separate groups, such a worker only lands a second copy of all events in the wrong lake.
"""

from hashlib import sha256
from pathlib import Path

from lakehouse.settings import Settings
from lakehouse.warehouse import parts_of

LANDING_GROUP = "okr-landing"
STATE_GROUP = "okr-state"
STATE_TOPIC = "okr_user_events"  # the only topic that the state consumer reads


def landing_group(settings: Settings) -> str:
    """Return the Kafka group of all workers that land in this lake. Their settings must spell its URI identically."""
    uri = settings.require("lake_uri")
    return _group_name(LANDING_GROUP, uri.rstrip("/") if "://" in uri else str(Path(uri).resolve()))


def state_group(settings: Settings, dsn: str = "dsn_loader") -> str:
    """Return the Kafka group of all consumers that maintain this database's state, regardless of their login.

    `dsn` names the setting with the database; all settings must spell its host identically.

    Raises:
        PermanentError: the DSN cannot be parsed.
    """
    parts = parts_of(settings.require(dsn))
    return _group_name(STATE_GROUP, f"{parts['host']}:{parts['port']}/{parts['dbname']}")


def _group_name(group: str, location: str) -> str:
    return f"{group}-{sha256(location.encode()).hexdigest()[:12]}"
