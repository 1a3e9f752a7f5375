"""Rejected messages for operators: the functions of `okr lake rejected`. This module does not use FastAPI."""

from collections.abc import Iterator
from contextlib import contextmanager

from ingestion.rejected_messages_report import (
    Position,
    RejectedMessage,
    read_rejected,
    read_rejected_message,
)
from lakehouse.contracts import TOPICS
from lakehouse.errors import PermanentError
from lakehouse.field_encryption.open_keys import open_data_keys
from lakehouse.settings import Settings
from serving.admin.cursors import Cursors, Page
from serving.admin.operator_settings import operator_setting
from serving.errors import NotConfigured, NotFound

CURSORS = Cursors("/admin/rejected-messages", Position)


class RejectedMessages:
    """Reads rejected messages from the lake."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = open_data_keys(settings, "dsn_serving")

    def page(
        self, limit: int, cursor: str | None, *, topic: str | None, reason: str | None
    ) -> tuple[Page[RejectedMessage], dict[str, int]]:
        """Return rejected messages, newest first, and the numbers of all rejected messages of the topics by reason.

        Raises:
            ContractViolation: this list did not return the cursor.
            RetryableError: the lake cannot be read.
            NotConfigured: there is no lake where this host looks for it.
        """
        topics = TOPICS if topic is None else (topic,)
        after = CURSORS.decode(cursor)
        with _of_this_host():
            found = read_rejected(self._lake(), limit + 1, topics=topics, reason=reason, after=after, keys=self._keys)
        return CURSORS.page(found.newest, limit, _position), found.by_reason

    def get(self, topic: str, partition: int, offset: int) -> RejectedMessage:
        """Return the rejected message at a position of the log.

        Raises:
            NotFound: no message was rejected there.
            RetryableError: the lake cannot be read.
            NotConfigured: there is no lake where this host looks for it.
        """
        with _of_this_host():
            found = read_rejected_message(self._lake(), topic, partition, offset, keys=self._keys)
        if found is None:
            raise NotFound(f"No message was rejected at {topic}/{partition}/{offset}.")
        return found

    def _lake(self) -> str:
        return operator_setting(self._settings, "lake_uri", "read the lake")


@contextmanager
def _of_this_host() -> Iterator[None]:
    try:
        yield
    except PermanentError as error:
        raise NotConfigured(str(error)) from error


def _position(message: RejectedMessage) -> Position:
    return Position(message.logged_at, message.offset, message.partition, message.topic)
