"""Encoding for COPY, and reading ahead."""

import threading
import uuid
from collections.abc import Iterator

import pyarrow as pa
import pytest

from ingestion.loading.copy_encoding import BATCHES_AHEAD, read_ahead, uuid_bytes


def test_ids_in_any_form_become_their_sixteen_bytes() -> None:
    ids = [uuid.uuid4() for _ in range(50)]
    expected = [each.bytes for each in ids]
    texts = pa.array([str(each) for each in ids])
    assert uuid_bytes(texts).to_pylist() == expected
    assert uuid_bytes(pa.array([str(each).upper() for each in ids])).to_pylist() == expected
    assert uuid_bytes(pa.array([str(each) if each.int % 2 else each.hex for each in ids])).to_pylist() == expected
    assert uuid_bytes(texts.slice(7, 9)).to_pylist() == expected[7:16]
    assert uuid_bytes(pa.array([], pa.string())).to_pylist() == []


def test_items_are_yielded_in_order() -> None:
    assert list(read_ahead(iter(range(20)))) == list(range(20))


def test_a_limited_number_of_items_is_read_ahead() -> None:
    started: list[int] = []
    beyond = threading.Event()

    def items() -> Iterator[int]:
        for number in range(20):
            started.append(number)
            if number > BATCHES_AHEAD:
                beyond.set()
            yield number

    ahead = read_ahead(items())
    assert next(ahead) == 0
    assert not beyond.wait(0.3), "only item 0 was consumed"
    assert started == list(range(1 + BATCHES_AHEAD)), "the following ones are ready"
    assert next(ahead) == 1
    assert beyond.wait(10), "one more is read for each consumed item"
    ahead.close()


def test_an_error_of_the_iterator_is_raised_to_the_caller() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        list(ahead)


def test_stopping_early_leaves_no_thread() -> None:
    before = threading.active_count()
    ahead = read_ahead(iter(range(100)))
    assert next(ahead) == 0
    ahead.close()
    assert threading.active_count() == before
