"""`okr lake rejected`: read rejected messages from the lake, newest first, and describe why they were rejected.

The lake stores the reason's code. Its description comes from validating the message again with the current contract.
"""

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingestion.contract_validation import decode
from lakehouse.contracts import TOPICS
from lakehouse.errors import ContractViolation, RetryableError
from lakehouse.lake import open_table, require_lake, table_uri

SHOWN_BYTES = 120
NOW_ACCEPTED = "The present contract accepts it."
NEWEST = ("logged_at", "kafka_offset", "kafka_partition")  # messages that arrived together have the same log time
COLUMNS = (
    "logged_at", "kafka_partition", "kafka_offset", "rejection_reason", "rejected_value", "rejected_key",
    "rejected_headers",
)  # fmt: skip


@dataclass(frozen=True)
class RejectedMessage:
    """One raw message, its position in the log, and the reason for its rejection.

    `headers` is a list of [name, base64 or null], a string if the client could not read them, or None without headers.
    """

    topic: str
    partition: int
    offset: int
    logged_at: datetime
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None
    headers: Any

    def as_json(self) -> dict[str, Any]:
        """Return the message as a JSON-compatible dictionary, with all bytes in base64."""
        raw = {"key": self.key, "value": self.value}
        return {
            "topic": self.topic, "partition": self.partition, "offset": self.offset,
            "logged_at": self.logged_at.isoformat(), "reason": self.reason, "detail": self.detail,
            **{name: None if part is None else base64.b64encode(part).decode() for name, part in raw.items()},
            "headers": self.headers,
        }  # fmt: skip

    def as_lines(self) -> str:
        """Return the message as text; its content is escaped, so that it cannot control the terminal."""
        headers = f"  headers {_shown(json.dumps(self.headers).encode())}" if self.headers else ""
        return (
            f"{self.logged_at:%Y-%m-%d %H:%M:%S}  {self.topic}/{self.partition}/{self.offset}  {self.reason}\n"
            f"  {ascii(self.detail)[1:-1]}\n"
            f"  key {_shown(self.key)}  value {_shown(self.value)}{headers}"
        )


@dataclass(frozen=True)
class Rejected:
    """The newest matching messages, and the number of all rejected messages in the same topics, by reason."""

    newest: list[RejectedMessage]
    by_reason: dict[str, int]


def read_rejected(lake_uri: str, limit: int, *, topics: Sequence[str] = TOPICS, reason: str | None = None) -> Rejected:
    """Return the newest `limit` rejected messages of the topics, optionally only those with one reason.

    Raises:
        PermanentError: there is no lake at this URI.
        RetryableError: a landing table cannot be read.
    """
    import polars as pl
    from deltalake.exceptions import DeltaError, TableNotFoundError

    require_lake(lake_uri, TOPICS)
    newest: list[dict[str, Any]] = []
    by_reason = Counter[str]()
    for topic in topics:
        uri = table_uri(lake_uri, topic)
        try:
            rows = pl.scan_delta(open_table(uri)).filter(pl.col("rejection_reason").is_not_null())
            by_reason.update(dict(rows.group_by("rejection_reason").len().collect().rows()))
            wanted = rows if reason is None else rows.filter(pl.col("rejection_reason") == reason)
            found = wanted.select(COLUMNS).sort(*NEWEST, descending=True).head(limit).collect()
        except TableNotFoundError:
            continue
        except (DeltaError, pl.exceptions.PolarsError, OSError) as error:
            raise RetryableError(f"The lake table {uri} cannot be read: {error}.") from error
        newest += [{"topic": topic, **row} for row in found.to_dicts()]
    newest.sort(key=lambda row: [row[name] for name in NEWEST], reverse=True)
    return Rejected([_message(**row) for row in newest[:limit]], dict(sorted(by_reason.items())))


def _message(topic: str, **row: Any) -> RejectedMessage:
    value, key, headers = row["rejected_value"], row["rejected_key"], row["rejected_headers"]
    return RejectedMessage(
        topic, row["kafka_partition"], row["kafka_offset"], row["logged_at"], row["rejection_reason"],
        _detail(topic, value, key, row["logged_at"], row["rejection_reason"]), key, value,
        json.loads(headers) if headers else None,
    )  # fmt: skip


def _detail(topic: str, value: bytes | None, key: bytes | None, logged_at: datetime, reason: str) -> str:
    try:
        decode(topic, value, key, logged_at)
    except ContractViolation as violation:
        return (
            str(violation)
            if violation.reason == reason
            else f"With the present contract it would be {violation.reason}: {violation}"
        )
    return NOW_ACCEPTED


def _shown(part: bytes | None) -> str:
    return "null" if part is None else ascii(part[:SHOWN_BYTES])[1:] + ("…" if len(part) > SHOWN_BYTES else "")
