"""Events for benchmarks, as the producer sends them: check-ins of a month, one in a hundred truncated."""

from datetime import UTC, datetime, timedelta

from ingestion.contract_validation import decode, encode
from ingestion.producer import EventProducer
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.ids import uuid7
from lakehouse.kafka_connection import KafkaConnection

TOPIC = "okr_user_events"
TRUNCATED_EVERY = 100
DAYS = 30


def fill(bootstrap: str, count: int) -> None:
    """Send `count` messages of about 368 bytes to TOPIC; valid ones are distinct and of 2,000 key results."""
    started = datetime.now(UTC) - timedelta(days=DAYS, hours=1)
    data = CheckInRecorded(
        check_in_id="c<number>", key_result_id="k<key>", user_id="u<user>", value=0.5, confidence=0.5,
        note="as agreed on Monday, to be looked at again in two weeks",
    )  # fmt: skip
    frame = encode(data, at=started, source="bench").value.decode()
    words = {"time": started.isoformat().replace("+00:00", "Z"), "id": frame[frame.index('"id":"') + 6 :][:36]}
    template = frame.replace("%", "%%").replace(words["id"], "%(id)s").replace(words["time"], "%(time)s")
    for name in ("number", "key", "user"):
        template = template.replace(f"<{name}>", f"%({name})s")
    with EventProducer(KafkaConnection(bootstrap)) as producer:
        for number in range(count):
            at = started + timedelta(days=DAYS * number / count)
            value = (template % {
                "id": uuid7(), "time": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", "number": number, "key": number % 2000,
                "user": number % 300,
            }).encode()  # fmt: skip
            if number == 1:
                decode(TOPIC, value)  # otherwise the benchmark would measure rejections
            producer.send_raw(TOPIC, b"k%d" % (number % 2000), value[:-20] if number % TRUNCATED_EVERY == 0 else value)
