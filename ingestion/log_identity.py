"""Identify the log that a topic's offsets belong to. An offset is meaningless without its log.

In a re-created cluster or topic, offsets start again at 0. A consumer that continued at the old log's stored offset
would silently skip the first events of the new log (Iceberg PR 16360). Therefore each offset is stored with the id of
its log.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from lakehouse.errors import RetryableError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

ANSWER_SECONDS = 10.0


def log_ids(admin: "AdminClient", topics: Collection[str]) -> dict[str, str]:
    """Return `<cluster id>/<topic id>` for each topic, which uniquely identifies its log.

    Raises:
        RetryableError: the broker does not respond, or a topic does not exist.
    """
    from confluent_kafka import KafkaException, TopicCollection

    try:
        cluster_id = admin.list_topics(timeout=ANSWER_SECONDS).cluster_id
        described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_SECONDS)
        return {topic: f"{cluster_id}/{answer.result().topic_id}" for topic, answer in described.items()}
    except KafkaException as error:
        raise RetryableError(
            f"The Kafka broker did not return the ids of its topics {', '.join(topics)}: {error.args[0].str()}. "
            "Is the stack up (`make status`)?"
        ) from error
