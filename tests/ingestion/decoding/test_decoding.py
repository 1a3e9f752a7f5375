"""The fast way and the careful way judge alike: what the fast one takes is the row that the careful one makes of it."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingestion.decoding import decode_batch, sift
from ingestion.decoding.kinds import _without_patterns
from ingestion.decoding.rows import judge_each, take_good
from ingestion.decoding.sifting import UNREADABLE_HEADERS
from ingestion.events import encode
from lakehouse.contracts import TOPICS
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.pipeline_step import PipelineStepFinished
from lakehouse.contracts.prediction import PredictionServed

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


def pipeline_step() -> dict[str, Any]:
    data = PipelineStepFinished(pipeline="etl", step="load", run_id="r", state="success", started_at=AT, finished_at=AT)
    return json.loads(encode(data, at=AT, source="test").value)


class Message:
    """What the decoder asks of a Kafka message."""

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


def assert_alike(topic: str, messages: list[Message]) -> list[int]:
    """Return the numbers of the messages that go the fast way, once both ways are seen to make the same rows."""
    numbered = [Message(each.value(), each.key(), number) for number, each in enumerate(messages)]
    sifted = pa.Table.from_batches([sift(topic, numbered)])  # type: ignore[arg-type]
    good, others = take_good(sifted)
    numbers = sorted(good["kafka_offset"].to_pylist())
    assert sorted(others["kafka_offset"].to_pylist() + numbers) == list(range(len(messages)))
    taken = sifted.filter(pc.is_in(sifted["kafka_offset"], good["kafka_offset"]))
    careful = judge_each(topic, taken)
    assert careful["rejection_reason"].null_count == len(numbers)
    assert good.sort_by("kafka_offset").to_pylist() == (
        careful.select(good.column_names).sort_by("kafka_offset").to_pylist()
    )
    return numbers


USUAL = [check_in(), check_in(user_id="u1", note="Fine 🎉", confidence=0.5), key_result()]


@pytest.mark.parametrize("event", USUAL)
@pytest.mark.parametrize("spaced", [False, True])
def test_usual_events_go_the_fast_way(event: dict[str, Any], spaced: bool) -> None:
    separators = None if spaced else (",", ":")
    for is_ascii in (False, "🎉" not in str(event)):  # half a surrogate pair needs the closer look
        value = json.dumps(event, separators=separators, ensure_ascii=is_ascii).encode()
        assert assert_alike(TOPIC, [Message(value, b"k1")]) == [0]


@pytest.mark.parametrize("topic", TOPICS)
def test_an_event_of_another_topic_is_left(topic: str) -> None:
    assert (assert_alike(topic, [Message(json.dumps(check_in()).encode())]) == [0]) == (topic == TOPIC)


def test_a_moment_of_the_payload_out_of_range_is_left() -> None:
    for as_of, expected in ((AT, [0]), (datetime(1950, 1, 1, tzinfo=UTC), [])):
        event = prediction()
        event["data"]["as_of"] = as_of.isoformat()
        assert assert_alike("okr_ai_predictions", [Message(json.dumps(event).encode())]) == expected


@pytest.mark.parametrize(
    "labels", [{}, {"route": "/v1/check-ins"}, {"Route": "x"}, {"route": 5}, "route", ["route"], None]
)
def test_fields_that_hold_other_things_than_text_are_judged_alike(labels: object) -> None:
    event = app_metric()
    event["data"]["labels"] = labels
    expected = [0] if labels in ({}, {"route": "/v1/check-ins"}) else []
    assert assert_alike("okr_system_metrics", [Message(json.dumps(event).encode())]) == expected


LEFT = {
    "an id in capitals": {"id": check_in()["id"].upper()},
    "a time with an offset": {"time": "2026-11-24T12:00:00+01:00"},
    "a leap day that is none": {"time": "2100-02-29T12:00:00Z"},
    "a day that does not exist": {"time": "2026-02-30T12:00:00Z"},
    "nanoseconds": {"time": "2026-11-24T11:00:00.123456789Z"},
    "before 1970": {"time": "1969-12-31T23:59:59Z"},
    "happened after it was logged": {"time": (LOGGED + timedelta(minutes=11)).isoformat().replace("+00:00", "Z")},
    "an attribute of others": {"traceparent": "00-01-02"},
    "another version": {"specversion": "0.3"},
    "no source": {"source": ""},
    "another subject": {"subject": "k2"},
    "a type unheard of": {"type": "okr.check_in.imagined.v1"},
    "a subject ending in a space": {"subject": "k1 ", "data": check_in()["data"] | {"key_result_id": "k1 "}},
    "a user id that begins with a line end": {"data": check_in()["data"] | {"user_id": "\nu"}},
    "an id of nothing": {"data": check_in()["data"] | {"check_in_id": ""}},
    "a text for a number": {"data": check_in()["data"] | {"value": "1.5"}},
    "a number that vanishes": {"data": check_in()["data"] | {"more": "1e-999"}},
    "NUL": {"data": check_in()["data"] | {"note": "a\x00b"}},
    "deep": {"data": check_in()["data"] | {"more": [[[[[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]]]]] * 4}},
    "a number for the envelope's text": {"dataschema": 5},
    "data that is not last": {"recordedassumed": True},
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_bad_or_unusual_is_left_to_the_careful_way(case: str) -> None:
    value = json.dumps(check_in() | LEFT[case]).replace('"1e-999"', "1e-999").encode()
    neighbours = [Message(json.dumps(event).encode(), offset=9) for event in USUAL if "🎉" not in str(event)]
    assert assert_alike(TOPIC, [neighbours[0], Message(value), neighbours[1]]) == [0, 2]


def test_bytes_that_are_no_event_are_left() -> None:
    good = json.dumps(check_in()).encode()
    torn = [None, b"", b"null", b"[]", good[:-1], good + b"}", good.replace(b"c1", b"\xff"), b"[" * 100_000, b"\x00"]
    assert assert_alike(TOPIC, [Message(each) for each in (*torn, good)]) == [len(torn)]
    assert assert_alike(TOPIC, [Message(good, b"k2"), Message(good, b""), Message(good, None)]) == [2]


def test_halves_of_a_character_do_not_make_each_other_whole() -> None:
    """Messages are looked at together first: joined, these three are UTF-8."""
    good = json.dumps(check_in()).encode()
    torn = ["é".encode()[:1].join([good, b""]), "é".encode()[1:] + good]
    assert assert_alike(TOPIC, [Message(each) for each in (good, *torn, good)]) == [0, 3]


def test_headers_that_the_client_cannot_read_stop_nobody_and_spoil_no_other() -> None:
    class Unreadable(Message):
        asked = False

        def headers(self) -> None:
            assert not self.asked, "the client crashes when it is asked again"
            self.asked = True
            b"\xff".decode()

    class Readable(Message):
        def headers(self) -> list[tuple[str, bytes | None]]:  # type: ignore[override]
            return [("a", b"\xff"), ("b", None)]

    good = check_in_bytes()
    messages = [Readable(b"{"), Unreadable(good, b"k1", 1), Unreadable(b"{", b"k1", 2), Message(good, b"k1", 3)]
    rows = decode_batch(TOPIC, [sift(TOPIC, messages)]).sort_by("kafka_offset").to_pylist()  # type: ignore[list-item]
    assert [row["rejection_reason"] is None for row in rows] == [False, True, False, True]
    assert [row["rejected_headers"] for row in rows] == ['[["a", "/w=="], ["b", null]]', None, UNREADABLE_HEADERS, None]


def test_every_rule_of_a_field_with_a_pattern_is_kept() -> None:
    class Twice(msgspec.Struct, kw_only=True, frozen=True):
        name: Annotated[Annotated[str, msgspec.Meta(max_length=3)], msgspec.Meta(pattern="^t")]

    model, patterns = _without_patterns(Twice)
    assert patterns == {"name": "^t"}
    with pytest.raises(msgspec.ValidationError, match="length <= 3"):
        msgspec.json.decode(b'{"name": "toolong"}', type=model)


SPACES = [character for character in map(chr, range(0x3001)) if character.isspace()]


@pytest.mark.parametrize("is_ascii", [False, True])
def test_an_id_with_any_space_at_an_end_is_left(is_ascii: bool) -> None:
    for space in SPACES:
        for user in {f"{space}u", f"u{space}", space} - {"u\n"}:  # which the contract's `$` lets through
            event = check_in() | {"data": check_in()["data"] | {"user_id": user}}
            value = json.dumps(event, ensure_ascii=is_ascii).encode()
            for neighbours in ([], [Message(json.dumps(check_in(note='"')).encode())]):
                assert assert_alike(TOPIC, [Message(value), *neighbours]) == [1][: len(neighbours)]


NOTES = ["", "x", "Ä", "日本語。", "€…", "“Việt”", "что", "🎉", "¡Bien!", "« oui »", "½ °", 'said "yes"', "two  words"]


@pytest.mark.parametrize("note", NOTES)
def test_texts_in_any_language_go_the_fast_way(note: str) -> None:
    event = check_in(note=note, user_id=note or "u", check_in_id=f"{note}1")
    assert assert_alike(TOPIC, [Message(json.dumps(event, ensure_ascii=False).encode())]) == [0]


@pytest.mark.parametrize("time", ["2028-02-29T00:00:00Z", "2000-02-29T23:59:59.9Z", "1970-01-01T00:00:00Z"])
def test_times_at_the_edges_go_the_fast_way_once_they_are_past(time: str) -> None:
    expected = [0] if datetime.fromisoformat(time) < LOGGED else []
    event = {"recordedtime": "2000-02-29T00:00:00Z"} | check_in() | {"time": time}
    assert assert_alike(TOPIC, [Message(json.dumps(event).encode())]) == expected


JSON_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | JSON_TEXT | st.sampled_from(["k1", "1.0", "é "]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(JSON_TEXT, inner, max_size=3),
    max_leaves=5,
)
MOMENTS = st.one_of(
    st.integers(-10, 200 * 366).map(lambda day: f"{date(1970, 1, 1) + timedelta(day)}T00:00:00Z"),
    st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|z|[+-][0-9]{2}:[0-9]{2})?",
        fullmatch=True,
    ),
)


TOPIC_EVENTS = {
    "okr_user_events": USUAL,
    "okr_system_metrics": [app_metric()],
    "okr_ai_predictions": [prediction()],
    "okr_data_pipeline": [pipeline_step()],
}


@st.composite
def bent(draw: st.DrawFn, events: list[dict[str, Any]]) -> bytes:
    """A good event with a few members replaced, added or left out, then perhaps a byte changed."""
    event = draw(st.sampled_from(events))
    event = event | {"data": dict(event["data"])}
    for part in draw(st.lists(st.sampled_from([event, event["data"]]), max_size=3)):
        name = draw(st.sampled_from([*part]) | JSON_TEXT)
        if draw(st.booleans()):
            part[name] = draw(MOMENTS if name in ("time", "recordedtime") else SOME_JSON)
        elif name != "data":
            part.pop(name, None)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")]))
    value = json.dumps(event, ensure_ascii=draw(st.booleans()), separators=separators).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        position = draw(st.integers(0, len(value) - 1))
        value = value[:position] + draw(st.binary(max_size=2)) + value[position + draw(st.integers(0, 2)) :]
    return value


@pytest.mark.parametrize("topic", TOPIC_EVENTS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_comes_on_any_topic_both_ways_agree(topic: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(bent(TOPIC_EVENTS[topic]), min_size=1, max_size=6))
    assert_alike(topic, [Message(value) for value in values])


@pytest.mark.parametrize("topic", TOPIC_EVENTS)
def test_a_message_must_name_its_type_even_where_the_topic_has_but_one(topic: str) -> None:
    for event in TOPIC_EVENTS[topic]:
        nameless = {name: value for name, value in event.items() if name != "type"}
        for value in (nameless, nameless | {"type": "none"}, nameless | {"type": "none", "number": 1}):
            assert assert_alike(topic, [Message(json.dumps(value).encode())]) == []
        assert assert_alike(topic, [Message(json.dumps(event, ensure_ascii=False).encode())]) == [0]


def test_of_a_member_given_twice_the_last_value_is_kept() -> None:
    good = json.dumps(check_in(), separators=(",", ":")).encode()
    for first in (b'"subject":"k9",', b'"source":"x",'):
        assert assert_alike(TOPIC, [Message(good.replace(b'"source"', first + b'"source"', 1), b"k1")]) == [0]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(bent(USUAL), st.sampled_from([None, b"k1", b"k2"])), min_size=1, max_size=6))
@example(
    [(json.dumps(check_in()).encode()[:-1] + b',"data":' + json.dumps(key_result()["data"]).encode() + b"}", None)]
)
@example(
    [(json.dumps(check_in()).encode()[:-1] + b',"d\\u0061ta":' + json.dumps(check_in()["data"]).encode() + b"}", None)]
)
@example(
    [
        (
            json.dumps(check_in()).encode()[:-1]
            + b',"source":"x","data":'
            + json.dumps(key_result()["data"]).encode()
            + b"}",
            None,
        )
    ]
)
@example([(json.dumps(check_in() | {"source": '"data":{'}).encode(), None)])
@example([(json.dumps({"source": '{"data":{'} | check_in()).encode(), None)])
@example([(json.dumps({"source": "{", "data": check_in()["data"]} | check_in()).encode(), None)])
@example([(json.dumps({"data": check_in()["data"]} | check_in(), separators=(",", ":")).encode(), None)])
@example([(json.dumps(check_in() | {"dataschema": "\x00"}).encode(), None)])
@example([(json.dumps(check_in()).encode()[:-2] + b',"more":12e99"}}', None)])
@example([(json.dumps(check_in()).encode()[:-2] + b',"more":[1e300,-1e-400]}}', None)])
@example([(json.dumps(check_in()).encode()[:-2] + b',"more":1' + b"0" * 400 + b"}}", None)])
@example([(json.dumps(check_in(note='{"data":{"x":1}}')).encode(), None)])
@example([(json.dumps(check_in(note="}, ")).encode(), None)])
def test_whatever_comes_both_ways_agree(pairs: list[tuple[bytes, bytes | None]]) -> None:
    assert_alike(TOPIC, [Message(value, key, offset) for offset, (value, key) in enumerate(pairs)])
