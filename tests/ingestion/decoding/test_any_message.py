"""Whatever comes: what the fast way takes is the row that the careful one makes of it."""

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
    assert_alike,
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
