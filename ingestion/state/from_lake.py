"""`okr consume state --from-lake`: apply events to the state tables that the lake has and Kafka has no longer.

After a restore without Kafka's messages, landing may have been some events ahead of the state consumer. Offsets are the
same in the lake and in Kafka, so each batch moves the stored offset as if it had been read from Kafka, and the consumer
continues at the lake's end.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg

from ingestion.batch import Span
from ingestion.consumer_groups import LANDING_GROUP, STATE_GROUP, STATE_TOPIC
from ingestion.personal_field_encryption import FieldEncryption, personal_contracts
from ingestion.state.store import StateStore
from lakehouse.connection_limits import CONSUMER
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.field_encryption.cipher import from_text
from lakehouse.field_encryption.data_keys import DataKeys
from lakehouse.field_encryption.decryption import ERASED, BoundValue, Decryption
from lakehouse.field_encryption.open_keys import open_data_keys
from lakehouse.lake import EVENT_COLUMNS, application_id, cause, table_uri
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

if TYPE_CHECKING:
    from deltalake import DeltaTable

log = get_logger(__name__)
BATCH_ROWS = 10_000
MAX_PARTITIONS = 256
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)
_optional_text = msgspec.json.Decoder(str | None)


def apply_from_lake(settings: Settings) -> int:
    """Apply what the lake has beyond the stored offsets; return the number of events.

    The state consumer must be stopped.

    Raises:
        RetryableError: the lake or PostgreSQL cannot be read; the call can be repeated.
        OffsetsMovedError: a state consumer is running.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    uri = table_uri(settings.require("lake_uri"), STATE_TOPIC)
    keys = open_data_keys(settings, writes=True)
    try:
        table = DeltaTable(uri)
        with connect(settings.require("dsn_loader"), application="okr-state", limits=CONSUMER) as connection:
            log_id = str(table.metadata().description)
            store = StateStore(connection, log_id, STATE_GROUP)
            return sum(
                _apply_partition(store, table, keys, partition, end)
                for partition in range(MAX_PARTITIONS)
                if (end := _next_offset(table, log_id, partition)) is not None
            )
    except (DeltaError, OSError) as error:
        raise RetryableError(f"The lake table {uri} cannot be read: {cause(error)}.") from error
    except psycopg.Error as error:
        raise RetryableError(f"PostgreSQL failed; the command can be repeated: {error}") from error


def _next_offset(table: "DeltaTable", log_id: str, partition: int) -> int | None:
    version: int | None = table.transaction_version(application_id(log_id, LANDING_GROUP, STATE_TOPIC, partition))
    return version


def _apply_partition(store: StateStore, table: "DeltaTable", keys: DataKeys | None, partition: int, end: int) -> int:
    start = store.next_offset(STATE_TOPIC, partition)
    if start is not None and start >= end:
        return 0
    rows = _valid_rows(table, partition, start or 0, end)
    _make_comparable(rows, keys)
    for batch, following in _batches(rows, end):
        store.apply(STATE_TOPIC, batch, {partition: Span(start, following)})
        start = following
    log.info("applied from the lake", partition=partition, events=len(rows), next_offset=end)
    return len(rows)


def _valid_rows(table: "DeltaTable", partition: int, start: int, end: int) -> list[dict[str, Any]]:
    """Return the valid events of a range of offsets, in their order."""
    import pyarrow.dataset as ds

    column = ds.field("kafka_offset")
    wanted = (ds.field("kafka_partition") == partition) & (column >= start) & (column < end)
    found = table.to_pyarrow_table(columns=[*EVENT_COLUMNS, "rejection_reason"], filters=wanted)
    rows: list[dict[str, Any]] = found.sort_by("kafka_offset").to_pylist()
    return [row for row in rows if row.pop("rejection_reason") is None]


def _batches(rows: Sequence[dict[str, Any]], end: int) -> Iterator[tuple[Sequence[dict[str, Any]], int]]:
    """Yield batches, each with the offset after it. The last one goes to `end`, which rejected messages may precede."""
    for first in range(0, max(len(rows), 1), BATCH_ROWS):
        last = first + BATCH_ROWS >= len(rows)
        yield rows[first : first + BATCH_ROWS], end if last else int(rows[first + BATCH_ROWS]["kafka_offset"])


def _make_comparable(rows: Sequence[dict[str, Any]], keys: DataKeys | None) -> None:
    """Encrypt personal fields as the state tables have them: addresses are comparable there, but not in the lake.

    Raises:
        PermanentError: a value cannot be decrypted, for instance without a key file.
    """
    decryption = Decryption(keys)
    for row in rows:
        contract = personal_contracts().get(row["event_type"])
        if contract is None or contract.personal is None:
            continue
        members = _members.decode(row["data"])
        entity_id = _text.decode(members[contract.personal.entity])
        values = {
            field: BoundValue(f"{contract.noun}.{field}", entity_id, from_text(text))
            for field in contract.personal.fields
            if field in members and (text := _optional_text.decode(members[field])) is not None
        }
        for field, plain in zip(values, decryption.plain(list(values.values())), strict=True):
            if plain is not None:  # None: it was never encrypted
                members[field] = msgspec.Raw(msgspec.json.encode(_plaintext(plain, values[field].field)))
        row["data"] = msgspec.json.encode(members).decode()
    if keys is not None:
        FieldEncryption(keys).events(list(rows))


def _plaintext(plain: bytes | str, field: str) -> str:
    """Return a decrypted text. That of an erased person is encrypted again to a value without any text."""
    if isinstance(plain, bytes):
        return plain.decode()
    if plain != ERASED:
        raise PermanentError(
            f"{field} in the lake cannot be read: {plain}. Is OKR_FIELD_ENCRYPTION_KEY the key with which it was "
            "written?"
        )
    return plain
