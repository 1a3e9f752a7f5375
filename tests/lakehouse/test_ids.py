import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.ids import natural_uuid, uuid7, uuid7_of

moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds


@given(moments, st.text(), st.text())
def test_the_same_fact_always_has_the_same_event_id(at, one, two):
    made = uuid7_of(at, one, two)
    assert made == uuid7_of(at, one, two)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(at.timestamp() * 1000), "the first 48 bits are the milliseconds"


def test_ids_equal_those_of_earlier_releases():
    at = datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    assert str(uuid7_of(at, "a", "b")) == "019b76da-a801-704c-9ced-9736a69da610"
    assert str(natural_uuid("user", "a@b.c")) == "e237d7bd-4b39-5055-8d9f-4e4d0c371c43"


@given(moments)
def test_parts_are_separated_before_hashing(at):
    assert uuid7_of(at, "ab", "c") != uuid7_of(at, "a", "bc")


def test_event_ids_sort_by_time():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [uuid7(at + timedelta(seconds=n)) for n in range(100)]
    assert ids == sorted(ids)


def test_a_uuid_is_unchanged_and_other_keys_get_one():
    key = str(uuid.uuid4())
    assert str(natural_uuid("user", key)) == key
    assert natural_uuid("user", "a@b.c") != natural_uuid("key_result", "a@b.c")
