"""Which log a topic's offsets count: an offset means nothing without it.

A cluster made anew and a topic deleted and made anew both count from 0 again. Offsets that we stored of the old log
would skip the new one's first events in silence (Iceberg PR 16360), so each is stored with the log it belongs to.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from lakehouse.errors import RetryableError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

ANSWER_SECONDS = 10.0


def log_ids(admin: "AdminClient", topics: Collection[str]) -> dict[str, str]:
    """Return `<cluster id>/<topic id>` of each topic; no two logs ever have the same.

    Raises:
        RetryableError: the broker does not answer, or lacks a topic.
    """
    from confluent_kafka import KafkaException, TopicCollection

    try:
        cluster_id = admin.list_topics(timeout=ANSWER_SECONDS).cluster_id
        described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_SECONDS)
        return {topic: f"{cluster_id}/{answer.result().topic_id}" for topic, answer in described.items()}
    except KafkaException as error:
        raise RetryableError(
            f"The Kafka broker does not say which logs its topics {', '.join(topics)} are: {error.args[0].str()}."
        ) from error
