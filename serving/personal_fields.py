"""Personal fields in what the API stores and reads: encrypted in tables, decrypted for callers that see the row."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ingestion.personal_field_encryption import FieldEncryption, personal_contracts
from lakehouse.field_encryption.data_keys import DataKeys
from lakehouse.field_encryption.decryption import UNREADABLE, Decryption, PersonalColumn
from lakehouse.field_encryption.open_keys import open_data_keys
from lakehouse.field_encryption.personal_columns import personal_columns
from lakehouse.settings import Settings
from serving.publication_reader import Row, Warehouse

Data = dict[str, Any]


class PersonalFields:
    """Encrypts and decrypts. Call `open` before use, and `close` at the end.

    It has connections of its own, because callers hold one of the warehouse while they decrypt its rows.
    """

    def __init__(self, keys: DataKeys | None = None, pool: Warehouse | None = None) -> None:
        self._pool = pool
        self._encryption = None if keys is None else FieldEncryption(keys)
        self._decryption = Decryption(keys)

    @classmethod
    def from_settings(cls, settings: Settings) -> "PersonalFields":
        """Return the fields with the keys of the settings, without connecting to anything yet.

        Raises:
            PermanentError: the key file is invalid, or missing although the environment requires it.
        """
        pool = Warehouse(settings.require("dsn_serving"), least=0)  # it connects when it is opened
        keys = open_data_keys(settings, connections=pool.connection, writes=True)
        return cls() if keys is None else cls(keys, pool)

    @property
    def has_keys(self) -> bool:
        """Return whether personal fields are encrypted."""
        return self._encryption is not None

    def open(self) -> None:
        """Start the pool of connections."""
        if self._pool is not None:
            self._pool.open()

    def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            self._pool.close()

    def encrypted(self, events: Sequence[tuple[str, Data]]) -> list[Data]:
        """Return the data of events (event type and data) as it is stored.

        Raises:
            RetryableError: the keys cannot be read or created.
        """
        if self._encryption is None:
            return [data for _, data in events]
        texts = self._encryption.data([(event_type, json.dumps(data)) for event_type, data in events])
        return [json.loads(text) for text in texts]

    def decrypted(self, events: Sequence[tuple[str, Data]]) -> list[Data]:
        """Return the stored data of events in plaintext.

        Raises:
            RetryableError: the keys cannot be read.
        """
        found = [dict(data) for _, data in events]
        for event_type, columns in _columns().items():
            of_type = [data for data, (kind, _) in zip(found, events, strict=True) if kind == event_type]
            if of_type:
                self._decryption.rows(of_type, columns)
        return found

    def readable(self, events: Sequence[tuple[str, Data]]) -> list[Data]:
        """Return the stored data of events like `decrypted`, but with None for what cannot be read, as it may be sent.

        Raises:
            RetryableError: the keys cannot be read.
        """
        found = self.decrypted(events)
        columns = _columns()
        for data, (event_type, stored) in zip(found, events, strict=True):
            for field in columns.get(event_type, ()):
                if data.get(field) in UNREADABLE and data[field] != stored.get(field):
                    data[field] = None
        return found

    def show(self, rows: Sequence[Row], columns: Mapping[str, PersonalColumn]) -> None:
        """Decrypt columns of rows in place.

        Raises:
            RetryableError: the keys cannot be read.
        """
        if columns:
            self._decryption.rows(rows, columns)


def _columns() -> dict[str, dict[str, PersonalColumn]]:
    """Return the personal fields of the data of each event type."""
    return {event_type: personal_columns(event_type) for event_type in personal_contracts()}
