"""The ids of a request: accepted from the caller or made here, and added to log lines, problems and events.

Log lines get them from structlog's context variables, which worker threads inherit.
"""

import itertools
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from structlog.contextvars import bind_contextvars, get_contextvars

from lakehouse.log_records.schema import trace_id_of

# The id is logged, so only text in the form of an id is accepted. Most names and all e-mail addresses have another form
# (no digit, fewer characters, or other ones), but not a name such as maria-schmidt-1990: callers must not send names.
_SAFE_ID = re.compile(rb"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,64}")
# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, parent id and flags.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class RequestIds(NamedTuple):
    """The id of a request, and the trace that it belongs to (W3C Trace Context), if its caller sent one."""

    request_id: str
    traceparent: str | None = None

    @property
    def trace_id(self) -> str | None:
        """The id of the trace, for log lines."""
        return None if self.traceparent is None else trace_id_of(self.traceparent)


class IdSource:
    """Accepts the ids that callers send, or makes one: a random number of this object followed by a counter."""

    def __init__(self) -> None:
        self._prefix = os.urandom(8).hex()
        self._numbers = itertools.count(int.from_bytes(os.urandom(4), "big"))

    def ids_of(self, request_id: bytes | None, traceparent: bytes | None) -> RequestIds:
        """Return the ids from the headers X-Request-ID and traceparent. Unsafe ids are replaced or dropped."""
        if request_id is not None and _SAFE_ID.fullmatch(request_id):
            own_id = request_id.decode()
        else:
            own_id = f"{self._prefix}{next(self._numbers):016x}"
        if traceparent is None or not _TRACEPARENT.fullmatch(traceparent):
            return RequestIds(own_id)
        return RequestIds(own_id, traceparent.decode())


def bind(ids: RequestIds) -> None:
    """Add the ids to every log line of the current request."""
    if ids.traceparent is None:
        bind_contextvars(request_id=ids.request_id)
    else:
        bind_contextvars(request_id=ids.request_id, traceparent=ids.traceparent)


def attributes_of(ids: RequestIds) -> Mapping[str, str]:
    """Return the CloudEvents extension attributes of events that a request causes."""
    if ids.traceparent is None:
        return {"requestid": ids.request_id}
    return {"requestid": ids.request_id, "traceparent": ids.traceparent}


def current_request_id() -> str | None:
    """Return the id of the current request, or None outside of a request."""
    return get_contextvars().get("request_id")


def event_attributes() -> Mapping[str, str]:
    """Return the CloudEvents extension attributes of events that the current request causes."""
    known = get_contextvars()
    names = {"requestid": "request_id", "traceparent": "traceparent"}
    return {name: known[key] for name, key in names.items() if key in known}
