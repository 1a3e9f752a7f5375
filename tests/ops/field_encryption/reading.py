"""Run the pipeline, and read what it stored: in plaintext, and as bytes on the disk."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from psycopg import sql
from psycopg.rows import dict_row

from infra.local.stack import Stack
from ingestion.landing.consumer import land
from ingestion.ledger import verify
from ingestion.loading import load
from ingestion.personal_field_encryption import personal_contracts
from ingestion.state.consumer import consume_state
from lakehouse.field_encryption.decryption import Decryption
from lakehouse.field_encryption.open_keys import open_data_keys
from lakehouse.field_encryption.personal_columns import personal_columns
from lakehouse.lake import table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.databases import execute_as_superuser
from tests.ops.field_encryption.conftest import TOPIC

PERSONAL = {event_type: personal_columns(event_type) for event_type in personal_contracts()}


def drain(settings: Settings) -> None:
    """Land, apply and load everything, and check that nothing was lost or duplicated."""
    land(settings, threading.Event(), drain=True)
    consume_state(settings, threading.Event(), drain=True)
    load(settings)
    ledger = verify(settings)
    assert ledger.passed, [topic.problems for topic in ledger.topics]


def lake_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return the rows of the landing table in the order of the log."""
    table: pa.Table = DeltaTable(table_uri(settings.lake_uri, TOPIC)).to_pyarrow_dataset().to_table()
    return sorted(table.to_pylist(), key=lambda row: (row["kafka_partition"], row["kafka_offset"]))


def raw_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return the rows of raw in the order of the log."""
    query = f"SELECT * FROM raw.{TOPIC} ORDER BY kafka_partition, kafka_offset"
    with connect(settings.require("dsn_loader")) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def personal_texts(settings: Settings, rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the personal fields of rows of raw, decrypted with the settings' keys."""
    decryption = Decryption(open_data_keys(settings))
    found = []
    for row in rows:
        columns = PERSONAL.get(row["event_type"], {})
        data = dict(row["data"])
        decryption.rows([data], columns)
        if texts := {name: data[name] for name in columns if data.get(name) is not None}:
            found.append(texts)
    return found


def places_with(settings: Settings, stack: Stack, mark: str, *folders: Path) -> set[str]:
    """Return where `mark` can be read: values of the lake, tables of the database, its files, and files of folders."""
    found = set()
    for uri in Path(settings.lake_uri).iterdir():
        table = DeltaTable(str(uri)).to_pyarrow_dataset().to_table()
        if any(mark in str(row) for row in table.to_pylist()):
            found.add("lake")
    with connect(settings.require("dsn_owner")) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, name in tables:
            query = sql.SQL("SELECT EXISTS (SELECT FROM {} AS each WHERE each::text LIKE {})").format(
                sql.Identifier(str(schema), str(name)), sql.Literal(f"%{mark}%")
            )
            if connection.execute(query).fetchone() == (True,):
                found.add(f"{schema}.{name}")
    checkpoint(stack)
    names = {"heap": stack.state / "postgres", **{each.name: each for each in folders}}
    for name, folder in names.items():
        for path in folder.rglob("*"):
            if path.is_file() and mark.encode() in path.read_bytes():
                found.add("wal" if "pg_wal" in path.parts else name)
    return found


def checkpoint(stack: Stack) -> None:
    """Write all pages of PostgreSQL to its files."""
    execute_as_superuser(stack, "CHECKPOINT")
