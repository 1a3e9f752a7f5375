"""The topics of the platform on the broker that tests share."""

from confluent_kafka import OFFSET_END, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from lakehouse.contracts import TOPICS


# A new topic has no leader yet.
@retry(retry=retry_if_exception_type(KafkaException), wait=wait_fixed(0.2), stop=stop_after_delay(30), reraise=True)
def empty_topics(bootstrap: str) -> None:
    """Delete all records; offsets continue."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = admin.list_topics(timeout=10).topics
    partitions = [TopicPartition(topic, number, OFFSET_END) for topic in TOPICS for number in topics[topic].partitions]
    for deleted in admin.delete_records(partitions, request_timeout=10).values():
        deleted.result(10)
