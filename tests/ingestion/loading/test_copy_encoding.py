"""Encoding for COPY, and reading ahead of it."""

import threading
import uuid
from collections.abc import Iterator

import pyarrow as pa
import pytest

from ingestion.loading.copy_encoding import AHEAD, read_ahead, uuid_bytes


def test_ids_become_their_sixteen_bytes_in_whatever_form_they_are_written() -> None:
    ids = [uuid.uuid4() for _ in range(50)]
    expected = [each.bytes for each in ids]
    texts = pa.array([str(each) for each in ids])
    assert uuid_bytes(texts).to_pylist() == expected
    assert uuid_bytes(pa.array([str(each).upper() for each in ids])).to_pylist() == expected
    assert uuid_bytes(pa.array([str(each) if each.int % 2 else each.hex for each in ids])).to_pylist() == expected
    assert uuid_bytes(texts.slice(7, 9)).to_pylist() == expected[7:16]
    assert uuid_bytes(pa.array([], pa.string())).to_pylist() == []


def test_items_come_in_their_order() -> None:
    assert list(read_ahead(iter(range(20)))) == list(range(20))


def test_items_are_read_before_they_are_asked_for_and_only_so_many() -> None:
    begun: list[int] = []
    beyond = threading.Event()

    def items() -> Iterator[int]:
        for number in range(20):
            begun.append(number)
            if number > AHEAD:
                beyond.set()
            yield number

    ahead = read_ahead(items())
    assert next(ahead) == 0
    assert not beyond.wait(0.3), "item 0 alone was taken"
    assert begun == list(range(1 + AHEAD)), "those that follow it are ready"
    assert next(ahead) == 1
    assert beyond.wait(10), "and one more for each that is taken"
    ahead.close()


def test_an_error_of_the_reader_reaches_who_reads() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        list(ahead)


def test_who_stops_reading_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    ahead = read_ahead(iter(range(100)))
    assert next(ahead) == 0
    ahead.close()
    assert threading.active_count() == before
