"""Wait until an event that was written has reached a status."""

import time
from typing import Any, Literal, Protocol
from uuid import UUID

from okr_client.errors import EventNotPublished, NotPublishedInTime
from okr_client.exchange import Sleep, Steps, result
from okr_client.models import EventStatus
from okr_client.operations.groups import Writes
from okr_client.retries import Retries

Awaited = Literal["accepted", "landed", "loaded", "published"]
ORDER = ("accepted", "landed", "loaded", "published")
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0


class Written(Protocol):
    """What a write returns."""

    @property
    def event_id(self) -> Any:
        """The id of the event."""


def wait(written: Written | str, retries: Retries, until: Awaited, timeout_s: float) -> Steps[EventStatus]:
    """Query the status of an event, less and less often, until it has reached the wanted one.

    Raises:
        EventNotPublished: it is quarantined or rejected.
        NotPublishedInTime: it has not reached the status in time.
    """
    event_id = written if isinstance(written, str) else str(written.event_id)
    call = Writes.event_status.definition(UUID(event_id))
    ends, wait_s = time.monotonic() + timeout_s, FIRST_WAIT_S
    while True:
        status: EventStatus = yield from result(call, retries)
        if status.status not in ORDER:
            raise EventNotPublished(f"The event {status.event_id} is {status.status}: {status.reason}", status)
        if ORDER.index(status.status) >= ORDER.index(until):
            return status
        if time.monotonic() + wait_s > ends:
            raise NotPublishedInTime(f"The event {status.event_id} is {status.status} after {timeout_s:g} s.")
        yield Sleep(wait_s)
        wait_s = min(wait_s * 1.5, LONGEST_WAIT_S)
