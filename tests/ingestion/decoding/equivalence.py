"""Events of all topics as messages, and the comparison of decoding by column with decoding one by one."""

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contract_validation import encode
from ingestion.decoding import parse_messages
from ingestion.decoding.batch_validation import accept_by_column
from ingestion.decoding.rejected_message_rows import accept_or_reject
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.pipeline_step import PipelineStepFinished
from lakehouse.contracts.prediction import ModelPredictionServed, PredictionServed

TOPIC = "okr_user_events"


LOGGED = datetime(2026, 11, 24, 12, tzinfo=UTC)


AT = datetime(2026, 11, 24, 11, tzinfo=UTC)


def app_metric() -> dict[str, Any]:
    data = AppMetricSampled(app="api", instance="1", metric="latency", value=0.1, unit="s", labels={"route": "/"})
    return json.loads(encode(data, at=AT, source="test").value)


def prediction() -> dict[str, Any]:
    data = PredictionServed(
        prediction_id="p", key_result_id="k1", as_of=AT, probability=0.5, low=0.1, high=0.9, model_name="m",
        model_version="1", role="champion", publication_id=1,
    )  # fmt: skip
    return json.loads(encode(data, at=AT, source="test").value)


def prediction_of_any_model() -> dict[str, Any]:
    data = ModelPredictionServed(
        prediction_id="p", subject_type="request", subject_id="p", model_name="m", model_version="1", role="champion",
        output={"similar": ["a"], "score": 0.5},
    )  # fmt: skip
    return json.loads(encode(data, at=AT, source="test").value)


def pipeline_step() -> dict[str, Any]:
    data = PipelineStepFinished(pipeline="etl", step="load", run_id="r", state="success", started_at=AT, finished_at=AT)
    return json.loads(encode(data, at=AT, source="test").value)


class Message:
    """The part of a Kafka message that decoding uses."""

    def __init__(self, value: bytes | None, key: bytes | None = None, offset: int = 0) -> None:
        self._value, self._key, self._offset = value, key, offset

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes | None:
        return self._key

    def offset(self) -> int:
        return self._offset

    def partition(self) -> int:
        return self._offset % 3

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (2, int(LOGGED.timestamp() * 1000))


def check_in(**fields: Any) -> dict[str, Any]:
    data = CheckInRecorded(**{"check_in_id": "c1", "key_result_id": "k1", "value": 1.5} | fields)
    return json.loads(encode(data, at=AT, source="test").value)


def check_in_bytes() -> bytes:
    return json.dumps(check_in()).encode()


def key_result() -> dict[str, Any]:
    data = KeyResultDefined(
        key_result_id="k1", objective_id="o1", title="Ärger halbieren", unit="percent", baseline=40, target=20,
        direction="decrease",
    )  # fmt: skip
    return json.loads(encode(data, at=AT, source="test").value)


def assert_equivalent(topic: str, messages: list[Message]) -> list[int]:
    """Check that both ways of decoding produce the same rows; return the indexes of messages accepted by column."""
    numbered = [Message(each.value(), each.key(), number) for number, each in enumerate(messages)]
    parsed = pa.Table.from_batches([parse_messages(topic, numbered)])  # type: ignore[arg-type]
    good, others = accept_by_column(parsed)
    numbers = sorted(good["kafka_offset"].to_pylist())
    assert sorted(others["kafka_offset"].to_pylist() + numbers) == list(range(len(messages)))
    taken = parsed.filter(pc.is_in(parsed["kafka_offset"], good["kafka_offset"]))
    careful = accept_or_reject(topic, taken)
    assert careful["rejection_reason"].null_count == len(numbers)
    assert good.sort_by("kafka_offset").to_pylist() == (
        careful.select(good.column_names).sort_by("kafka_offset").to_pylist()
    )
    return numbers


def of_request(event: dict[str, Any], request_id: str = "5f2c8a90b1d34e67-42") -> dict[str, Any]:
    """Add the extension attribute of a request's id in the place where `encode` writes it, before `data`."""
    return {**{name: value for name, value in event.items() if name != "data"}, "requestid": request_id,
            "data": event["data"]}  # fmt: skip


USUAL = [
    check_in(),
    check_in(user_id="u1", note="Fine 🎉", confidence=0.5),
    key_result(),
    of_request(check_in(note="Fine")),
]


TOPIC_EVENTS = {
    "okr_user_events": USUAL,
    "okr_system_metrics": [app_metric()],
    "okr_ai_predictions": [prediction(), of_request(prediction()), prediction_of_any_model()],
    "okr_data_pipeline": [pipeline_step()],
}
