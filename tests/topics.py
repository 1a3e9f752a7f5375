"""The platform's topics on a broker that tests share."""

from confluent_kafka import OFFSET_END, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from lakehouse.contracts import TOPICS


# A topic that was just made has no leader yet.
@retry(retry=retry_if_exception_type(KafkaException), wait=wait_fixed(0.2), stop=stop_after_delay(30), reraise=True)
def empty_topics(bootstrap: str) -> None:
    """Delete all their records; offsets go on from where they are."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = admin.list_topics(timeout=10).topics
    partitions = [TopicPartition(topic, number, OFFSET_END) for topic in TOPICS for number in topics[topic].partitions]
    for deleted in admin.delete_records(partitions, request_timeout=10).values():
        deleted.result(10)
