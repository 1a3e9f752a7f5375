"""Recognise repeated requests by the header Idempotency-Key, for all endpoints that write.

Each endpoint stores its requests in PostgreSQL before their events are written to disk (ADR 20, ADR 26). A repeated
request gets the first response. A request with a used key and other content is a conflict.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header

from serving.errors import Difference

ATTEMPTS = 3  # of a request that is sent several times concurrently
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        description="Your key for this request, e.g. a UUID. Repeats within 90 days return the first response.",
    ),
]
KEY_REUSED = {
    "content": {"application/problem+json": {}},
    "description": "The key or id was used before with different content; `differs` lists the differences.",
}


def differences(first: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Return the fields in which a repeated request differs from the first one."""
    return [Difference(name, first[name], now[name]) for name in first if first[name] != now[name]]
