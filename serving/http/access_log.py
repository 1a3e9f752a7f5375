"""One log line per request, without personal data: the route's template instead of the path, and no caller or address.

As JSON, the line is written directly, because structlog would take longer than most requests that are answered from
memory.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import msgspec

from lakehouse.log_records.levels import Gate
from lakehouse.log_records.schema import host_name, service_name
from lakehouse.logs import get_logger

MODULE = __name__

Write = Callable[["RequestLine"], None]


class RequestLine(msgspec.Struct, gc=False):
    """The values of a line. `refused_by` is the type of the problem if the request was refused by a limit."""

    time: datetime
    method: str
    route: str
    status: int
    took_ms: float
    request_id: str
    trace_id: str | msgspec.UnsetType = msgspec.UNSET
    refused_by: str | msgspec.UnsetType = msgspec.UNSET


def json_writer(descriptor: int | None = None) -> Write:
    """Return a function that writes lines as JSON, to standard error by default. Call it on the event loop only.

    The lines of one iteration of the loop are written together. If they cannot be written, they are lost.
    """
    target = sys.stderr.fileno() if descriptor is None else descriptor
    encoder = msgspec.json.Encoder()
    lines = bytearray()
    gate = Gate(MODULE)
    # The same for all lines, so they are rendered only once. They follow the values, instead of the final brace.
    fixed = {"level": "INFO", "event": "request", "service": service_name(), "host": host_name(), "module": MODULE}
    end = b"," + encoder.encode(fixed)[1:] + b"\n"

    def flush() -> None:
        data = bytes(lines)
        lines.clear()  # before an error, after which `write` must schedule the next flush
        with suppress(OSError):
            while data:
                data = data[os.write(target, data) :]

    def write(line: RequestLine) -> None:
        if not gate.is_open:
            return
        if not lines:
            asyncio.get_running_loop().call_soon(flush)
        encoder.encode_into(line, lines, -1)
        lines[-1:] = end

    return write


def text_writer() -> Write:
    """Return a function that writes lines for people, like all other log lines."""
    log = get_logger(MODULE)

    def write(line: RequestLine) -> None:
        refused = {"refused_by": line.refused_by} if line.refused_by else {}
        log.info("request", method=line.method, route=line.route, status=line.status, took_ms=line.took_ms, **refused)

    return write
