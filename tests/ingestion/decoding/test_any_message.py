"""Property tests: a message that is accepted by column gets the same row as from `decode`."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.ingestion.decoding.equivalence import (
    TOPIC,
    TOPIC_EVENTS,
    USUAL,
    Message,
    assert_equivalent,
    check_in,
    key_result,
)

HIDDEN = st.sampled_from("\x7f\xa0\xad\u200b\u200d\u2060\ufe0f\ufeff\u0301\ufffd")
JSON_TEXT = st.text(st.one_of(st.characters(codec="utf-8"), HIDDEN), max_size=8)


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


@st.composite
def mutated(draw: st.DrawFn, events: list[dict[str, Any]]) -> bytes:
    """Return a valid event with a few members replaced, added or removed, and possibly a changed byte."""
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
def test_both_ways_of_decoding_agree_on_mutated_events_of_any_topic(topic: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(mutated(TOPIC_EVENTS[topic]), min_size=1, max_size=6))
    assert_equivalent(topic, [Message(value) for value in values])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(mutated(USUAL), st.sampled_from([None, b"k1", b"k2"])), min_size=1, max_size=6))
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
def test_both_ways_of_decoding_agree_on_any_bytes(pairs: list[tuple[bytes, bytes | None]]) -> None:
    assert_equivalent(TOPIC, [Message(value, key, offset) for offset, (value, key) in enumerate(pairs)])
