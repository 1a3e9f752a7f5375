from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ingestion.contract_validation import MAX_VALUE_BYTES, decode, encode
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.prediction import PredictionServed
from lakehouse.errors import ContractViolation

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOPIC = "okr_user_events"


def message(data: bytes = b'{"check_in_id":"c","key_result_id":"k","value":1}', **frame: object) -> bytes:
    parts = {
        "specversion": "1.0",
        "id": "01978b1c-0000-7000-8000-000000000000",
        "source": "test",
        "type": "okr.check_in.recorded.v1",
        "time": NOW.isoformat(),
        "subject": "k",
    } | frame
    return msgspec.json.encode(parts | {"data": msgspec.Raw(data)})


def with_field(extra: str) -> bytes:
    return message(b'{"check_in_id":"c","key_result_id":"k","value":1,"extra":' + extra.encode() + b"}")


REJECTED = {
    "null_value": None,
    "too_large": with_field('"' + "x" * MAX_VALUE_BYTES + '"'),
    "not_utf8": message().replace(b"test", b"te\xffst"),
    "not_json": message()[:-1],
    "bad_envelope": message(time="yesterday"),
    "unknown_type": message(type="okr.coffee.drunk.v1"),
    "wrong_topic": message(type="okr.host_metric.sampled.v1"),
    "bad_data": message(b'{"check_in_id":"c","key_result_id":"k","value":"1"}'),
    "bad_id": message('{"check_in_id":"c\u200b","key_result_id":"k","value":1}'.encode()),
    "subject_mismatch": message(subject="another"),
    "time_in_future": message(time=(NOW + timedelta(minutes=11)).isoformat()),
    "time_out_of_range": message(time="1969-12-31T23:59:59Z"),
    "nul_character": with_field(r'"a\u0000b"'),
    "lone_surrogate": with_field(r'"\ud800"'),
    "number_out_of_range": with_field("1e400"),
    "too_deep": with_field("[" * 100 + "]" * 100),
}


@pytest.mark.parametrize("reason", REJECTED)
def test_a_message_that_violates_its_contract_gets_a_reason(reason: str) -> None:
    with pytest.raises(ContractViolation) as violation:
        decode(TOPIC, REJECTED[reason], b"k", NOW)
    assert violation.value.reason == reason


def test_a_kafka_key_that_is_not_the_subject_is_rejected() -> None:
    with pytest.raises(ContractViolation) as violation:
        decode(TOPIC, message(), b"another", NOW)
    assert violation.value.reason == "key_mismatch"


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("1e-400", "number_out_of_range"),
        ("-1E+309", "number_out_of_range"),
        ("9" * 400, "number_out_of_range"),
        ("0." + "0" * 400 + "1", "number_out_of_range"),
        (r'{"a\u0000":1}', "nul_character"),
        (r'"\udc00x"', "lone_surrogate"),
        (r'"\uD83D\u0041"', "lone_surrogate"),
        ("[" * 100_000 + "]" * 100_000, "too_deep"),
        ("NaN", "not_json"),
        ("1e400 ", "number_out_of_range"),
    ],
)
def test_an_unknown_field_that_postgresql_cannot_store_is_rejected(extra: str, reason: str) -> None:
    with pytest.raises(ContractViolation) as violation:
        decode(TOPIC, with_field(extra), b"k", NOW)
    assert violation.value.reason == reason


@pytest.mark.parametrize("extra", ["1e308", "1e-300", "0e999", r'"\ud83d\ude00"', r'"\\u0000"', "18446744073709551616"])
def test_harmless_lookalikes_are_accepted(extra: str) -> None:
    assert f'"extra":{extra}' in decode(TOPIC, with_field(extra), b"k", NOW).data


def test_unknown_fields_are_kept_verbatim() -> None:
    data = b'{"check_in_id":"c","key_result_id":"k","value":1, "mood": {"of":["the", 1.50]}}'
    assert decode(TOPIC, message(data), b"k", NOW).data == data.decode()


def test_a_clock_ten_minutes_ahead_is_tolerated() -> None:
    ahead = NOW + timedelta(minutes=10)
    assert decode(TOPIC, message(time=ahead.isoformat()), b"k", NOW).envelope.time == ahead


def test_an_encoded_event_decodes_to_the_same_payload() -> None:
    data = CheckInRecorded(check_in_id="c", key_result_id="k", value=0.1, note='ü "quoted" 😀', is_final=True)
    event = encode(data, at=NOW, source="test", recorded_at=NOW, recorded_assumed=True)
    decoded = decode(event.topic, event.value, event.key, NOW)
    assert (event.topic, event.key) == (TOPIC, b"k")
    assert decoded.payload == data
    assert (decoded.envelope.time, decoded.envelope.recordedtime, decoded.envelope.recordedassumed) == (NOW, NOW, True)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("note", "a\x00b", "nul_character"),
        ("note", "\ud800", "lone_surrogate"),
        ("value", float("nan"), "bad_data"),
        ("value", 1e16, "bad_data"),
        ("check_in_id", " ", "bad_data"),
    ],
)
def test_a_source_cannot_encode_an_event_that_would_be_rejected(field: str, value: object, reason: str) -> None:
    fields = {"check_in_id": "c", "key_result_id": "k", "value": 1.0} | {field: value}
    with pytest.raises(ContractViolation) as violation:
        encode(CheckInRecorded(**fields), at=NOW, source="test")
    assert violation.value.reason == reason


def test_a_time_in_data_that_is_out_of_range_is_rejected() -> None:
    data = PredictionServed(
        prediction_id="p", key_result_id="k", as_of=datetime(9999, 12, 31, tzinfo=UTC), probability=0.5, low=0.1,
        high=0.9, model_name="m", model_version="1", role="champion", publication_id=1,
    )  # fmt: skip
    with pytest.raises(ContractViolation) as violation:
        encode(data, at=NOW, source="test")
    assert violation.value.reason == "time_out_of_range"
