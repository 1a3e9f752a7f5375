"""The topics of the platform: their partitions and settings, and how they are created."""

import time
from typing import TYPE_CHECKING

from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

PARTITIONS = {"okr_user_events": 4, "okr_system_metrics": 2, "okr_ai_predictions": 2, "okr_data_pipeline": 1}
# The broker sets the timestamp when it appends an event, so that sources cannot choose `recorded_at`.
TOPIC_SETTINGS = {"message.timestamp.type": "LogAppendTime"}
AS_THE_BROKER_SAYS = -1  # default.replication.factor
LISTING_LIMIT_SECONDS = 30


def create_missing_topics(kafka: KafkaConnection) -> list[str]:
    """Create missing topics, wait until the broker lists all of them, and return the names of the new ones.

    The controller confirms a topic before the broker lists it. A client that reads the list in between would miss the
    topic.

    Raises:
        RetryableError: the broker did not create or list a topic in time.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    missing = sorted(PARTITIONS.keys() - topic_names(kafka))
    topics = [NewTopic(name, PARTITIONS[name], AS_THE_BROKER_SAYS, config=TOPIC_SETTINGS) for name in missing]
    admin = _admin(kafka)  # this reference keeps the client alive until the results have arrived
    for name, created in admin.create_topics(topics, request_timeout=15).items() if topics else ():
        try:
            created.result(20)
        except KafkaException as error:
            # A broker that has just restarted may list its topics late.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise RetryableError(f"Kafka did not create the topic {name}: {error}") from error
    deadline = time.monotonic() + LISTING_LIMIT_SECONDS
    while unlisted := PARTITIONS.keys() - topic_names(kafka):
        if time.monotonic() > deadline:
            raise RetryableError(f"Kafka does not list {', '.join(sorted(unlisted))} after creating them")
        time.sleep(0.1)
    return missing


def topic_names(kafka: KafkaConnection) -> set[str]:
    """Return the names of all topics that the user may see.

    Raises:
        RetryableError: the broker does not respond.
    """
    from confluent_kafka import KafkaException

    try:
        return set(_admin(kafka).list_topics(timeout=3).topics)
    except KafkaException as error:
        raise RetryableError(str(error)) from error


def _admin(kafka: KafkaConnection) -> "AdminClient":
    from confluent_kafka.admin import AdminClient

    return AdminClient(kafka.client_settings())
