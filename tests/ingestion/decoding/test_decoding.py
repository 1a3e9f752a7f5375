"""Which messages are accepted by column and which are left to `decode`; the rows are the same either way."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pytest

from ingestion.decoding import decode_batch, parse_messages
from ingestion.decoding.event_types import _without_patterns
from ingestion.decoding.parsing import UNREADABLE_HEADERS
from lakehouse.contracts import TOPICS
from tests.ingestion.decoding.equivalence import (
    AT,
    LOGGED,
    TOPIC,
    TOPIC_EVENTS,
    USUAL,
    Message,
    app_metric,
    assert_equivalent,
    check_in,
    check_in_bytes,
    of_request,
    prediction,
    prediction_of_any_model,
)


@pytest.mark.parametrize("event", USUAL)
@pytest.mark.parametrize("spaced", [False, True])
def test_usual_events_are_accepted_by_column(event: dict[str, Any], spaced: bool) -> None:
    separators = None if spaced else (",", ":")
    for is_ascii in (False, "🎉" not in str(event)):  # escaped surrogates need the full check
        value = json.dumps(event, separators=separators, ensure_ascii=is_ascii).encode()
        assert assert_equivalent(TOPIC, [Message(value, b"k1")]) == [0]


@pytest.mark.parametrize("topic", TOPICS)
def test_an_event_of_another_topic_is_left_to_decode(topic: str) -> None:
    assert (assert_equivalent(topic, [Message(json.dumps(check_in()).encode())]) == [0]) == (topic == TOPIC)


def test_a_time_in_the_payload_out_of_range_is_left_to_decode() -> None:
    for as_of, expected in ((AT, [0]), (datetime(1950, 1, 1, tzinfo=UTC), [])):
        event = prediction()
        event["data"]["as_of"] = as_of.isoformat()
        assert assert_equivalent("okr_ai_predictions", [Message(json.dumps(event).encode())]) == expected


@pytest.mark.parametrize(
    "labels", [{}, {"route": "/v1/check-ins"}, {"Route": "x"}, {"route": 5}, "route", ["route"], None]
)
def test_fields_of_other_types_than_text_are_validated_in_the_same_way(labels: object) -> None:
    event = app_metric()
    event["data"]["labels"] = labels
    expected = [0] if labels in ({}, {"route": "/v1/check-ins"}) else []
    assert assert_equivalent("okr_system_metrics", [Message(json.dumps(event).encode())]) == expected


LEFT = {
    "an upper-case id": {"id": check_in()["id"].upper()},
    "a time with an offset": {"time": "2026-11-24T12:00:00+01:00"},
    "a leap day in a common year": {"time": "2100-02-29T12:00:00Z"},
    "a day that does not exist": {"time": "2026-02-30T12:00:00Z"},
    "nanoseconds": {"time": "2026-11-24T11:00:00.123456789Z"},
    "before 1970": {"time": "1969-12-31T23:59:59Z"},
    "an event time after the log time": {"time": (LOGGED + timedelta(minutes=11)).isoformat().replace("+00:00", "Z")},
    "an extension attribute": {"traceparent": "00-01-02"},
    "a request id that is no text": of_request(check_in()) | {"requestid": 5},
    "a request id with a quote": of_request(check_in(), 'a"b'),
    "a request id with a line break": of_request(check_in(), "a\n"),
    "an empty request id": of_request(check_in(), ""),
    "a request id and text that is not ASCII": of_request(check_in(note="é")),
    "another version": {"specversion": "0.3"},
    "no source": {"source": ""},
    "another subject": {"subject": "k2"},
    "an unknown type": {"type": "okr.check_in.imagined.v1"},
    "a subject ending in a space": {"subject": "k1 ", "data": check_in()["data"] | {"key_result_id": "k1 "}},
    "a user id that starts with a line break": {"data": check_in()["data"] | {"user_id": "\nu"}},
    "an empty id": {"data": check_in()["data"] | {"check_in_id": ""}},
    "text instead of a number": {"data": check_in()["data"] | {"value": "1.5"}},
    "a number that underflows": {"data": check_in()["data"] | {"more": "1e-999"}},
    "NUL": {"data": check_in()["data"] | {"note": "a\x00b"}},
    "deep": {"data": check_in()["data"] | {"more": [[[[[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]]]]] * 4}},
    "a number instead of text in the envelope": {"dataschema": 5},
    "data that is not last": {"recordedassumed": True},
}


@pytest.mark.parametrize("case", LEFT)
def test_invalid_or_unusual_messages_are_left_to_decode(case: str) -> None:
    value = json.dumps(check_in() | LEFT[case]).replace('"1e-999"', "1e-999").encode()
    neighbours = [Message(json.dumps(event).encode(), offset=9) for event in USUAL if "🎉" not in str(event)]
    assert assert_equivalent(TOPIC, [neighbours[0], Message(value), neighbours[1]]) == [0, 2]


def test_bytes_that_are_not_an_event_are_left_to_decode() -> None:
    good = json.dumps(check_in()).encode()
    torn = [None, b"", b"null", b"[]", good[:-1], good + b"}", good.replace(b"c1", b"\xff"), b"[" * 100_000, b"\x00"]
    assert assert_equivalent(TOPIC, [Message(each) for each in (*torn, good)]) == [len(torn)]
    assert assert_equivalent(TOPIC, [Message(good, b"k2"), Message(good, b""), Message(good, None)]) == [2]


def test_parts_of_a_character_in_adjacent_messages_are_not_joined() -> None:
    """Messages are first checked joined, and joined these three are valid UTF-8."""
    good = json.dumps(check_in()).encode()
    torn = ["é".encode()[:1].join([good, b""]), "é".encode()[1:] + good]
    assert assert_equivalent(TOPIC, [Message(each) for each in (good, *torn, good)]) == [0, 3]


UNREADABLE: list[tuple[str, bytes | None]] = []


def test_headers_that_the_client_cannot_read_do_not_affect_other_messages() -> None:
    class Headed(Message):
        found: list[tuple[str, bytes | None]] | None = None
        may_be_asked = True

        def headers(self) -> list[tuple[str, bytes | None]] | None:  # type: ignore[override]
            assert self.may_be_asked, "the client crashes on a second call"
            if self.found == UNREADABLE:
                self.may_be_asked = False
                b"\xff".decode()
            return self.found

    good = check_in_bytes()
    messages = [Headed(b"{"), Headed(good, b"k1", 1), Headed(b"{", b"k1", 2), Headed(good, b"k1", 3)]
    messages[0].found, messages[1].found, messages[2].found = [("a", b"\xff"), ("b", None)], UNREADABLE, UNREADABLE
    rows = decode_batch(TOPIC, [parse_messages(TOPIC, messages)]).sort_by("kafka_offset").to_pylist()  # type: ignore[list-item]
    assert [row["rejection_reason"] is None for row in rows] == [False, True, False, True]
    assert [row["rejected_headers"] for row in rows] == ['[["a", "/w=="], ["b", null]]', None, UNREADABLE_HEADERS, None]


def test_other_rules_of_a_field_with_a_pattern_remain() -> None:
    class Twice(msgspec.Struct, kw_only=True, frozen=True):
        name: Annotated[Annotated[str, msgspec.Meta(max_length=3)], msgspec.Meta(pattern="^t")]

    model, patterns = _without_patterns(Twice)
    assert patterns == {"name": "^t"}
    with pytest.raises(msgspec.ValidationError, match="length <= 3"):
        msgspec.json.decode(b'{"name": "toolong"}', type=model)


SPACES = [character for character in map(chr, range(0x3001)) if character.isspace()]


@pytest.mark.parametrize("is_ascii", [False, True])
def test_an_id_with_a_space_at_either_end_is_left_to_decode(is_ascii: bool) -> None:
    for space in SPACES:
        for user in (f"{space}u", f"u{space}", space):
            event = check_in() | {"data": check_in()["data"] | {"user_id": user}}
            value = json.dumps(event, ensure_ascii=is_ascii).encode()
            for neighbours in ([], [Message(json.dumps(check_in(note='"')).encode())]):
                assert assert_equivalent(TOPIC, [Message(value), *neighbours]) == [1][: len(neighbours)]


HIDDEN = [
    *"\x7f\x85\xa0\xad\u034f\u115f\u200b\u200d\u202e\u2060\u3000\u3164\ufe0f\ufeff\ufffd\U000e0041",
    "e\u0301",
    "\u212b",
]


@pytest.mark.parametrize("is_ascii", [False, True])
@pytest.mark.parametrize("field", ["user_id", "check_in_id"])
def test_an_id_with_invisible_characters_is_left_to_decode_but_not_such_a_note(is_ascii: bool, field: str) -> None:
    for hidden in HIDDEN:
        needs_a_look = is_ascii and hidden > "\uffff"  # written as escaped surrogates
        for text in (f"u{hidden}", f"{hidden}u", f"u{hidden}u"):
            event = check_in() | {"data": check_in()["data"] | {field: text}}
            noted = check_in(note=f"u{text}u", user_id="ü")
            values = [json.dumps(each, ensure_ascii=is_ascii).encode() for each in (event, noted)]
            is_fast = not needs_a_look and (is_ascii or hidden != "\x7f")
            assert assert_equivalent(TOPIC, [Message(each) for each in values]) == ([1] if is_fast else [])


NOTES = ["", "x", "Ä", "日本語。", "€…", "“Việt”", "что", "🎉", "¡Bien!", "« oui »", "½ °", 'said "yes"', "two  words"]


@pytest.mark.parametrize("note", NOTES)
def test_texts_in_any_language_are_accepted_by_column(note: str) -> None:
    event = check_in(note=note, user_id=note or "u", check_in_id=f"{note}1")
    assert assert_equivalent(TOPIC, [Message(json.dumps(event, ensure_ascii=False).encode())]) == [0]


@pytest.mark.parametrize("time", ["2028-02-29T00:00:00Z", "2000-02-29T23:59:59.9Z", "1970-01-01T00:00:00Z"])
def test_times_at_the_limits_are_accepted_by_column_if_they_are_past(time: str) -> None:
    expected = [0] if datetime.fromisoformat(time) < LOGGED else []
    event = {"recordedtime": "2000-02-29T00:00:00Z"} | check_in() | {"time": time}
    assert assert_equivalent(TOPIC, [Message(json.dumps(event).encode())]) == expected


@pytest.mark.parametrize("topic", TOPIC_EVENTS)
def test_a_message_must_name_its_type_even_if_the_topic_has_only_one(topic: str) -> None:
    for event in TOPIC_EVENTS[topic]:
        nameless = {name: value for name, value in event.items() if name != "type"}
        for value in (nameless, nameless | {"type": "none"}, nameless | {"type": "none", "number": 1}):
            assert assert_equivalent(topic, [Message(json.dumps(value).encode())]) == []
        assert assert_equivalent(topic, [Message(json.dumps(event, ensure_ascii=False).encode())]) == [0]


def test_a_prediction_with_an_output_more_than_three_levels_deep_is_validated_on_its_own() -> None:
    event = prediction_of_any_model()
    event["data"]["output"] = {"similar": [{"title": "a", "score": 0.5}]}
    value = json.dumps(event).encode()
    assert assert_equivalent("okr_ai_predictions", [Message(value)]) == []
    (row,) = decode_batch("okr_ai_predictions", [parse_messages("okr_ai_predictions", [Message(value)])]).to_pylist()  # type: ignore[list-item]
    assert row["rejection_reason"] is None
    assert json.loads(row["data"]) == event["data"]


def test_the_last_value_of_a_repeated_member_is_kept() -> None:
    good = json.dumps(check_in(), separators=(",", ":")).encode()
    for first in (b'"subject":"k9",', b'"source":"x",'):
        assert assert_equivalent(TOPIC, [Message(good.replace(b'"source"', first + b'"source"', 1), b"k1")]) == [0]
