"""Lines of the access log that cannot be written do not stop those after them."""

import asyncio
import os
from datetime import UTC, datetime

import msgspec

from serving.http.access_log import RequestLine, Write, json_writer


def line(request_id: str) -> RequestLine:
    return RequestLine(datetime(2026, 11, 29, tzinfo=UTC), "POST", "/predict", 200, 1.0, request_id)


async def written(write: Write, *request_ids: str) -> None:
    """Write lines in one iteration of the loop, and let it flush them."""
    for each in request_ids:
        write(line(each))
    await asyncio.sleep(0)


def test_lines_are_written_again_when_a_full_disk_has_space() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)  # so that a missing line is a failure
    full, target = os.open("/dev/full", os.O_WRONLY), os.dup(writer)
    write = json_writer(target)

    async def run() -> None:
        os.dup2(full, target)
        await written(write, "lost")
        os.dup2(writer, target)
        await written(write, "first", "second")

    asyncio.run(run())
    ids = [msgspec.json.decode(each)["request_id"] for each in os.read(reader, 65_536).splitlines()]
    assert ids == ["first", "second"]
    for each in (reader, writer, full, target):
        os.close(each)


def test_lines_are_written_again_when_a_full_pipe_has_been_read() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)  # so that a missing line is a failure
    os.set_blocking(writer, False)
    write, long = json_writer(writer), "x" * 100_000  # more than a pipe holds

    async def run() -> bytes:
        await written(write, long)
        await written(write, "lost")
        part = os.read(reader, 1_000_000)
        await written(write, "after it")
        return part

    assert 0 < len(asyncio.run(run())) < len(long)
    assert b"after it" in os.read(reader, 65_536)
    os.close(reader)
    os.close(writer)
