"""What each service may do in Kafka. Whatever is not in this table is forbidden (`okr kafka access --apply`).

READ and WRITE include DESCRIBE, which shows a topic and its offsets. No service may create, change or delete a topic.
The superusers (`super.users` of the brokers: the brokers' own user and okr-admin) are not in the table.
"""

from dataclasses import dataclass
from enum import StrEnum

USER_EVENTS, SYSTEM_METRICS = "okr_user_events", "okr_system_metrics"
PREDICTIONS, PIPELINE = "okr_ai_predictions", "okr_data_pipeline"
TOPICS = (USER_EVENTS, SYSTEM_METRICS, PREDICTIONS, PIPELINE)
# Each lake and each database has its own group, whose name starts like this (ingestion/consumer_groups.py).
LANDING_GROUPS, STATE_GROUPS = "okr-landing-", "okr-state-"
LEDGER_GROUP = "okr-ledger"


class Kind(StrEnum):
    """What a right is for. A group of consumers is named by the start of its name or by its whole name."""

    TOPIC = "topic"
    GROUP_PREFIX = "group prefix"
    GROUP = "group"


class Operation(StrEnum):
    """What a user may do."""

    READ = "READ"
    WRITE = "WRITE"
    DESCRIBE = "DESCRIBE"


@dataclass(frozen=True, order=True)
class Right:
    """One user may do one thing with one topic or group."""

    user: str
    kind: Kind
    name: str
    operation: Operation


def _topics(user: str, operation: Operation, *names: str) -> list[Right]:
    return [Right(user, Kind.TOPIC, name, operation) for name in names]


RIGHTS: tuple[Right, ...] = (
    # The API sends events of users, its response times and its predictions, and reads which offsets have landed.
    *_topics("okr-api", Operation.WRITE, USER_EVENTS, SYSTEM_METRICS, PREDICTIONS),
    Right("okr-api", Kind.GROUP_PREFIX, LANDING_GROUPS, Operation.DESCRIBE),
    *_topics("okr-land", Operation.READ, *TOPICS),
    Right("okr-land", Kind.GROUP_PREFIX, LANDING_GROUPS, Operation.READ),
    *_topics("okr-state", Operation.READ, USER_EVENTS),
    Right("okr-state", Kind.GROUP_PREFIX, STATE_GROUPS, Operation.READ),
    # The metrics collector measures the lag of all consumers.
    *_topics("okr-metrics", Operation.WRITE, SYSTEM_METRICS),
    *_topics("okr-metrics", Operation.DESCRIBE, USER_EVENTS, PREDICTIONS, PIPELINE),
    Right("okr-metrics", Kind.GROUP_PREFIX, LANDING_GROUPS, Operation.DESCRIBE),
    Right("okr-metrics", Kind.GROUP_PREFIX, STATE_GROUPS, Operation.DESCRIBE),
    # DAGs send an event for each step, and compare the lake with the log every day (`okr lake verify`).
    *_topics("okr-airflow", Operation.WRITE, PIPELINE),
    *_topics("okr-airflow", Operation.READ, *TOPICS),
    Right("okr-airflow", Kind.GROUP, LEDGER_GROUP, Operation.DESCRIBE),
    # An operator imports files, sends spools, and verifies and repairs the lake (`okr produce`, `okr lake`).
    *_topics("okr-operator", Operation.WRITE, *TOPICS),
    *_topics("okr-operator", Operation.READ, *TOPICS),
    Right("okr-operator", Kind.GROUP, LEDGER_GROUP, Operation.DESCRIBE),
)
USERS = tuple(dict.fromkeys(right.user for right in RIGHTS))
