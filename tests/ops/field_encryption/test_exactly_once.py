"""With encrypted fields, a killed worker and a redelivery still land each event once, and state is the same."""

import threading
from pathlib import Path
from typing import Any

import pytest

from ingestion.landing.consumer import land
from ingestion.ledger import verify
from ingestion.state.consumer import consume_state
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.databases import NewDatabase
from tests.ingestion.crash import run_until_killed
from tests.ops.field_encryption.conftest import Send, check_in, organisation, planted, user
from tests.ops.field_encryption.reading import drain, lake_rows, personal_texts, raw_rows

LAND = "from ingestion.landing.consumer import land; land(settings, stop, drain=True)"
STATE = "from ingestion.state.consumer import consume_state; consume_state(settings, stop, drain=True)"
# Steps at which a worker is killed: around the creation of keys, and before and after what it commits.
LANDING_STEPS = {
    "before it creates keys": "import lakehouse.field_encryption.data_keys as k; k.DataKeys._create = die",
    "after it created keys": "import ingestion.personal_field_encryption as e; e.encrypt = die",
    "before the Delta commit": "import deltalake; deltalake.DeltaTable.create_write_transaction = die",
    "between the Delta commit and Kafka's": (
        "import confluent_kafka as k; k.Consumer = type('Client', (k.Consumer,), {'commit': die})"
    ),
}
LONG = LANDING_STEPS.keys() - {"after it created keys"}  # only with -m chaos


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=pytest.mark.chaos if step in LONG else ()) for step in LANDING_STEPS]
)
def test_a_landing_worker_that_is_killed_loses_and_repeats_nothing(
    step: str, encrypted: Settings, send: Send, tmp_path: Path
) -> None:
    send(*planted("Ada"), *(check_in(number, f"note {number}") for number in range(20, 60)), raw=b"\xff")
    run_until_killed(encrypted, LANDING_STEPS[step], LAND, tmp_path)
    drain(encrypted)
    assert len(lake_rows(encrypted)) == len(planted("Ada")) + 41
    texts = [text for row in personal_texts(encrypted, raw_rows(encrypted)) for text in row.values()]
    assert len(texts) == 46
    assert all(text.startswith(("Ada", "note")) for text in texts)


def test_a_state_consumer_that_is_killed_after_it_created_keys_continues(
    encrypted: Settings, send: Send, tmp_path: Path
) -> None:
    send(*planted("Ada"))
    arm = "from ingestion.state.store import StateStore; StateStore.apply = die"
    run_until_killed(encrypted, arm, STATE, tmp_path)
    drain(encrypted)
    with connect(encrypted.require("dsn_loader")) as connection:
        assert connection.execute("SELECT count(*) FROM app.check_ins").fetchone() == (3,)


def test_two_workers_land_the_events_of_the_same_persons(encrypted: Settings, send: Send) -> None:
    send(*(check_in(number, f"note {number}", user_id=f"u{number % 7}") for number in range(400)))
    workers = [threading.Thread(target=land, args=(encrypted, threading.Event()), kwargs={"drain": True}) for _ in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    drain(encrypted)
    assert verify(encrypted).passed
    texts = [text for row in personal_texts(encrypted, raw_rows(encrypted)) for text in row.values()]
    assert sorted(texts) == sorted(f"note {number}" for number in range(400))


def stories() -> list[Any]:
    """Return definitions of users who share, take over and give up e-mail addresses, in two organisations."""
    one, two = "one@example.org", "two@example.org"
    return [
        *organisation(),
        user("a", "A", one),
        user("b", "B", one, seconds=5),
        user("c", "C", two),
        user("c", "C", one, seconds=9),
        user("d", "D", two, seconds=3),
        user("a", "A", one, seconds=20),
        user("b", "B", two, seconds=30),
        user("e", "E", "enc1:x.one@example.org"),
    ]


def test_state_compares_encrypted_addresses_as_it_compares_addresses(
    encrypted: Settings, new_database: NewDatabase, send: Send
) -> None:
    send(*stories())
    found = []
    with new_database() as plain:
        dsns = {name: getattr(plain, name) for name in ("dsn_loader", "dsn_owner")}
        without = encrypted.model_copy(update=dsns | {"field_encryption_key": plain.field_encryption_key})
        for settings in (encrypted, without):
            consume_state(settings, threading.Event(), drain=True)
            with connect(settings.require("dsn_loader")) as connection:
                found.append(
                    connection.execute(
                        "SELECT source_user_id, email LIKE '%@superseded.invalid', team_id, defined_at, deactivated_at "
                        "FROM app.users ORDER BY 1"
                    ).fetchall()
                )
    assert found[0] == found[1]
    assert {row[1] for row in found[0]} == {True, False}
