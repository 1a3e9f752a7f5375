"""The prediction log: appended by workers that may die at any moment, sent to a real broker."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from ingestion.contract_validation import EncodedEvent, decode, extensions_of
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.ids import uuid7
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from serving.errors import NotPersisted
from serving.experiments.versions_of_arms import Assigned
from serving.models.key_result_forecast import MODEL
from serving.models.loaded_version import LoadedVersion
from serving.models.served_model import Trained
from serving.prediction_log import PredictionLog, Shipper, attributes_text, template_of
from serving.prediction_log.log import TOPIC, LogLimits
from serving.prediction_log.segment_file import SUFFIX
from serving.predictor.key_result_answers import CachedForecast
from serving.predictor.prediction import of_key_result, served_event

LIMITS = LogLimits(16 * 65_536)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
KILLED = """
import sys
from pathlib import Path
from tests.serving.prediction_log.test_prediction_log import LIMITS, event_of, new_id
from serving.prediction_log import PredictionLog, template_of

log = PredictionLog(Path(sys.argv[1]), LIMITS)
event, prediction_id = event_of(sys.argv[2])
template = template_of(event, prediction_id)
while True:
    ids = [new_id().bytes for _ in range(3)]
    log.append_from_templates([(template, each) for each in ids])
    sys.stdout.write("".join(each.hex() + "\\n" for each in ids))
    sys.stdout.flush()
"""


def new_id() -> uuid.UUID:
    return uuid7()


def event_of(
    key_result_id: str, reasons: tuple[str, ...] = ('it says "id":"x" \\ ü\u2028',)
) -> tuple[EncodedEvent, str]:
    """Return the event of a served prediction, and the prediction's id."""
    output = {"probability": 0.25, "low": 0.0, "high": 1.0, "level": 0.9}
    forecast = CachedForecast(AT, AT, "2026-Q4", "team", output, reasons)
    by = Assigned(LoadedVersion(MODEL, "3", "champion", Trained(MODEL, None, AT)))  # type: ignore[arg-type]
    prediction = replace(of_key_result(key_result_id, forecast, by, 7), prediction_id=str(new_id()))
    return served_event(prediction), prediction.prediction_id


def sent(settings: Settings, key: str, number: int, limit_s: float = 30) -> list[bytes]:
    """Return at least `number` messages with a key, and those that come within a moment after them."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap,
            "group.id": str(uuid.uuid4()),
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([TOPIC])
    deadline, found = time.monotonic() + limit_s, []
    try:
        while time.monotonic() < deadline:
            batch = consumer.consume(10_000, timeout=0.3)
            found += [each.value() for each in batch if each.error() is None and each.key() == key.encode()]
            if len(found) >= number and not batch:
                return found
    finally:
        consumer.close()
    raise AssertionError(f"{len(found)} of {number} messages came within {limit_s} s.")


def ids_of(values: list[bytes]) -> list[str]:
    return [decode(TOPIC, value).payload.prediction_id for value in values]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PredictionLog]:
    """A log of one worker."""
    log = PredictionLog(tmp_path, LIMITS)
    log.start()
    yield log
    log.stop()


def ship_all(shipper: Shipper) -> None:
    while shipper.ship():
        pass


def test_a_shipped_event_equals_the_event_of_the_documented_route(
    log: PredictionLog, kafka: Settings, tmp_path: Path
) -> None:
    key = f"kr-{new_id()}"
    event, prediction_id = event_of(key)
    served = new_id()
    attributes = attributes_text({"requestid": "r-1", "traceparent": "00-1-2-01"})
    log.append_from_templates([(template_of(event, prediction_id), served.bytes)], attributes)
    log.append([event])
    ship_all(Shipper(tmp_path, KafkaConnection.of(kafka)))
    by_template, complete = (decode(TOPIC, value, key.encode()) for value in sent(kafka, key, 2))
    assert complete.envelope == decode(TOPIC, event.value).envelope
    assert by_template.payload.prediction_id == str(served) == str(by_template.envelope.id)
    assert by_template.envelope.time.timestamp() == int(served.hex[:12], 16) / 1000
    with_ids = by_template.data.replace(str(served), prediction_id)
    assert with_ids == complete.data, "everything else is equal, byte by byte"
    assert by_template.envelope.source == complete.envelope.source
    (value,) = [each for each in sent(kafka, key, 2) if str(served).encode() in each]
    assert json.loads(extensions_of(value) or "") == {"requestid": "r-1", "traceparent": "00-1-2-01"}


def test_a_killed_worker_loses_no_recorded_prediction(kafka: Settings, tmp_path: Path) -> None:
    key = f"kr-{new_id()}"
    command = [sys.executable, "-c", KILLED, str(tmp_path), key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        recorded = [process.stdout.readline() for _ in range(9_000)]  # more than one segment
        process.send_signal(signal.SIGKILL)
        recorded += process.stdout.readlines()
    ids = {str(uuid.UUID(line.strip())) for line in recorded if len(line) == 33}
    assert len(ids) >= 9_000
    ship_all(Shipper(tmp_path, KafkaConnection.of(kafka)))
    shipped = ids_of(sent(kafka, key, len(ids)))
    assert ids <= set(shipped)
    assert len(shipped) == len(set(shipped))
    assert not list(tmp_path.glob(f"*{SUFFIX}")), "the segments of the dead worker are adopted and deleted"


def test_a_shipper_that_dies_before_its_mark_sends_again_with_the_same_ids(
    log: PredictionLog, kafka: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"kr-{new_id()}"
    event, prediction_id = event_of(key)
    template = template_of(event, prediction_id)
    for _ in range(2):
        log.append_from_templates([(template, new_id().bytes)])
    dies = Shipper(tmp_path, KafkaConnection.of(kafka))
    with monkeypatch.context() as patch:
        patch.setattr("serving.prediction_log.segment_reader.SegmentReader.mark_shipped", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            dies.ship()
    log.append_from_templates([(template, new_id().bytes)])  # uses a template that was defined before
    ship_all(Shipper(tmp_path, KafkaConnection.of(kafka)))
    ship_all(Shipper(tmp_path, KafkaConnection.of(kafka)))  # begins after the mark, and sends nothing again
    shipped = ids_of(sent(kafka, key, 5))
    assert (len(shipped), len(set(shipped))) == (5, 3)


def test_while_the_broker_is_away_predictions_wait_and_then_the_log_is_full(tmp_path: Path, kafka: Settings) -> None:
    log, key = PredictionLog(tmp_path, LIMITS), f"kr-{new_id()}"
    event, prediction_id = event_of(key)
    template, recorded = template_of(event, prediction_id), 0
    log.append_from_templates([(template, new_id().bytes)])
    away = Shipper(tmp_path, KafkaConnection("127.0.0.1:9"))
    with pytest.raises(RetryableError):
        away.ship()
    uses = [(template, new_id().bytes) for _ in range(1_000)]
    while log.counts["not_persisted"] == 0:
        try:
            log.append_from_templates(uses)
        except NotPersisted:
            continue
        recorded += len(uses)
    assert recorded * 20 > 0.9 * LIMITS.bytes
    assert sum(file.stat().st_blocks * 512 for file in tmp_path.iterdir()) <= LIMITS.bytes
    assert log.counts == {"posted": recorded + 1, "not_persisted": 1_000}
    log.stop()
    ship_all(Shipper(tmp_path, KafkaConnection.of(kafka)))
    assert log.state().bytes == 0
    again = PredictionLog(tmp_path, LIMITS)
    again.append_from_templates(uses)
    again.stop()


@pytest.mark.parametrize("is_full", [False, True])
def test_a_request_that_does_not_fit_leaves_no_undefined_templates(
    kafka: Settings, tmp_path: Path, is_full: bool
) -> None:
    log, key = PredictionLog(tmp_path, LogLimits(16 * 8_192)), f"kr-{new_id()}"
    templates = [template_of(*event_of(key)) for _ in range(20)]
    log.append_from_templates([(templates[0], new_id().bytes)])
    log._full_until = time.monotonic() + 600 if is_full else 0.0
    with pytest.raises(NotPersisted):
        log.append_from_templates([(each, new_id().bytes) for each in templates])
    log._full_until = 0.0
    for each in (templates[0], templates[1], templates[19]):
        log.append_from_templates([(each, new_id().bytes)])
    log.stop()
    ship_all(Shipper(tmp_path, KafkaConnection.of(kafka)))
    assert len(sent(kafka, key, 4)) == 4
    assert not list(tmp_path.glob("*.damaged"))


def test_the_log_leaves_the_disk_space_that_is_reserved_for_check_ins(tmp_path: Path) -> None:
    event, _ = event_of("kr-1")
    log = PredictionLog(tmp_path, LogLimits(LIMITS.bytes, leave_free=2**60))
    with pytest.raises(NotPersisted):
        log.append([event])
    assert not list(tmp_path.glob(f"*{SUFFIX}"))


def test_an_incomplete_record_at_the_end_is_left_out(log: PredictionLog, kafka: Settings, tmp_path: Path) -> None:
    key = f"kr-{new_id()}"
    event, prediction_id = event_of(key)
    template = template_of(event, prediction_id)
    for _ in range(2):
        log.append_from_templates([(template, new_id().bytes)])
    log.stop()
    (segment,) = tmp_path.glob(f"*{SUFFIX}")
    os.truncate(segment, segment.stat().st_size - 5)
    ship_all(Shipper(tmp_path, KafkaConnection.of(kafka)))
    assert len(sent(kafka, key, 1)) == 1
    assert not segment.exists()


def test_a_damaged_segment_is_renamed_and_the_others_are_sent(
    log: PredictionLog, kafka: Settings, tmp_path: Path
) -> None:
    key = f"kr-{new_id()}"
    log.append([event_of(key)[0]])
    (tmp_path / f"0{SUFFIX}").write_bytes(b"not a segment")
    ship_all(Shipper(tmp_path, KafkaConnection.of(kafka)))
    assert len(sent(kafka, key, 1)) == 1
    assert (tmp_path / "0.damaged").read_bytes() == b"not a segment"


def test_only_one_of_two_shippers_sends_and_the_other_takes_over(
    log: PredictionLog, kafka: Settings, tmp_path: Path
) -> None:
    key, shippers = f"kr-{new_id()}", [Shipper(tmp_path, KafkaConnection.of(kafka)) for _ in range(2)]
    for shipper in shippers:
        shipper.start()
    events = [event_of(key)[0] for _ in range(50)]
    log.append(events[:25])
    assert len(sent(kafka, key, 25)) == 25
    shippers[0].stop()
    log.append(events[25:])
    try:
        assert len(set(ids_of(sent(kafka, key, 50)))) == 50
        assert log.state().seconds_behind < 5
    finally:
        shippers[1].stop()


def test_an_event_that_the_broker_would_never_accept_is_rejected_immediately(log: PredictionLog) -> None:
    event, _ = event_of("kr-1")
    with pytest.raises(ContractViolation, match="at most"):
        log.append([EncodedEvent(TOPIC, event.key, b"x" * 2_000_000)])
    with pytest.raises(ContractViolation, match="accepts only"):
        log.append([EncodedEvent("okr_user_events", event.key, event.value)])
