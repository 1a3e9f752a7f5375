"""Which messages go the fast way and which are left; either way the rows are those of the careful one."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pytest

from ingestion.decoding import decode_batch, prevalidate
from ingestion.decoding.event_types import _without_patterns
from ingestion.decoding.prevalidation import UNREADABLE_HEADERS
from lakehouse.contracts import TOPICS
from tests.ingestion.decoding.equivalence import (
    AT,
    LOGGED,
    TOPIC,
    TOPIC_EVENTS,
    USUAL,
    Message,
    app_metric,
    assert_alike,
    check_in,
    check_in_bytes,
    prediction,
)


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


UNREADABLE: list[tuple[str, bytes | None]] = []


def test_headers_that_the_client_cannot_read_stop_nobody_and_spoil_no_other() -> None:
    class Headed(Message):
        found: list[tuple[str, bytes | None]] | None = None
        may_be_asked = True

        def headers(self) -> list[tuple[str, bytes | None]] | None:  # type: ignore[override]
            assert self.may_be_asked, "the client crashes when it is asked again"
            if self.found == UNREADABLE:
                self.may_be_asked = False
                b"\xff".decode()
            return self.found

    good = check_in_bytes()
    messages = [Headed(b"{"), Headed(good, b"k1", 1), Headed(b"{", b"k1", 2), Headed(good, b"k1", 3)]
    messages[0].found, messages[1].found, messages[2].found = [("a", b"\xff"), ("b", None)], UNREADABLE, UNREADABLE
    rows = decode_batch(TOPIC, [prevalidate(TOPIC, messages)]).sort_by("kafka_offset").to_pylist()  # type: ignore[list-item]
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
        for user in (f"{space}u", f"u{space}", space):
            event = check_in() | {"data": check_in()["data"] | {"user_id": user}}
            value = json.dumps(event, ensure_ascii=is_ascii).encode()
            for neighbours in ([], [Message(json.dumps(check_in(note='"')).encode())]):
                assert assert_alike(TOPIC, [Message(value), *neighbours]) == [1][: len(neighbours)]


HIDDEN = [
    *"\x7f\x85\xa0\xad\u034f\u115f\u200b\u200d\u202e\u2060\u3000\u3164\ufe0f\ufeff\ufffd\U000e0041",
    "e\u0301",
    "\u212b",
]


@pytest.mark.parametrize("is_ascii", [False, True])
@pytest.mark.parametrize("field", ["user_id", "check_in_id"])
def test_an_id_that_hides_something_is_left_and_a_note_that_does_is_not(is_ascii: bool, field: str) -> None:
    for hidden in HIDDEN:
        needs_a_look = is_ascii and hidden > "\uffff"  # an escape with half of a surrogate pair
        for text in (f"u{hidden}", f"{hidden}u", f"u{hidden}u"):
            event = check_in() | {"data": check_in()["data"] | {field: text}}
            noted = check_in(note=f"u{text}u", user_id="ü")
            values = [json.dumps(each, ensure_ascii=is_ascii).encode() for each in (event, noted)]
            is_fast = not needs_a_look and (is_ascii or hidden != "\x7f")
            assert assert_alike(TOPIC, [Message(each) for each in values]) == ([1] if is_fast else [])


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
