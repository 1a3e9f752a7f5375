"""The audit log: what it records, that it is append-only, and that `okr audit verify` finds every change."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from lakehouse.settings import Settings
from serving.auth.audit_chain import FIRST_HASH, Chain, Entry
from serving.auth.audit_log import AuditLog, Event
from serving.auth.audit_verification import verify
from serving.auth.auth_services import Auth
from serving.publication_reader import Warehouse
from tests.databases import NewDatabase
from tests.serving.auth.conftest import OPERATOR, PASSWORD, new_account
from tests.serving.live_server import Api

CHAIN = Chain(b"k" * 32)


@pytest.fixture(scope="module")
def log_settings(new_database: NewDatabase) -> Iterator[Settings]:
    with new_database() as settings:
        yield settings


@pytest.fixture
def warehouse(log_settings: Settings) -> Iterator[Warehouse]:
    """A log of ten events, written by several threads."""
    with psycopg.connect(log_settings.require("dsn_owner")) as connection:
        connection.execute("DELETE FROM auth.audit_event")
    opened = Warehouse(log_settings.require("dsn_serving"))
    opened.open()
    log = AuditLog(opened, CHAIN)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: log.record(Event("login", f"user {n}", "x", details={"n": n, "é": "ü"})), range(10)))
    yield opened
    opened.close()


def test_concurrent_writers_make_one_chain(warehouse: Warehouse) -> None:
    report = verify(warehouse, CHAIN)
    assert (report.events, report.newest_id, report.problems) == (10, 10, [])


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE auth.audit_event SET actor = 'nobody' WHERE event_id = 5",
        "UPDATE auth.audit_event SET occurred_at = occurred_at - interval '1 microsecond' WHERE event_id = 5",
        "UPDATE auth.audit_event SET details = details || '{\"n\": 99}' WHERE event_id = 5",
        "UPDATE auth.audit_event SET outcome = 'failure' WHERE event_id = 10",
        "DELETE FROM auth.audit_event WHERE event_id = 5",
        "DELETE FROM auth.audit_event WHERE event_id <= 5",
        "UPDATE auth.audit_event SET event_id = 11 WHERE event_id = 5",
        """INSERT INTO auth.audit_event
            SELECT 11, now(), actor, action, subject, outcome, address, details, hash, hash, seal, seal_key
            FROM auth.audit_event WHERE event_id = 10""",
        "UPDATE auth.audit_event SET seal_key = 'another' WHERE event_id = 5",
    ],
)
def test_every_change_of_the_log_is_found(log_settings: Settings, warehouse: Warehouse, change: str) -> None:
    with psycopg.connect(log_settings.require("dsn_owner")) as connection:
        assert connection.execute(change.encode()).rowcount > 0
    assert verify(warehouse, CHAIN).problems


def test_a_chain_computed_anew_without_the_secret_is_found(log_settings: Settings, warehouse: Warehouse) -> None:
    forger = Chain(hashlib.sha256(b"a guess").digest())
    with psycopg.connect(log_settings.require("dsn_owner")) as connection:
        connection.execute("DELETE FROM auth.audit_event WHERE event_id > 8")
    AuditLog(warehouse, forger).record(Event("login", "somebody", "x"))
    assert "sealed with another key" in " ".join(verify(warehouse, CHAIN).problems)
    forger.key_id = CHAIN.key_id
    with psycopg.connect(log_settings.require("dsn_owner")) as connection:
        connection.execute("DELETE FROM auth.audit_event WHERE event_id > 8")
    AuditLog(warehouse, forger).record(Event("login", "somebody", "x"))
    assert "its seal is wrong" in " ".join(verify(warehouse, CHAIN).problems)


def reseal(settings: Settings, forger: Chain, until: int) -> None:
    """Recompute the log up to an event, with a key of one's own, as whoever owns the table can."""
    columns = "event_id, occurred_at, actor, action, subject, outcome, address, details"
    with psycopg.connect(settings.require("dsn_owner")) as connection:
        previous = FIRST_HASH
        for row in connection.execute(f"SELECT {columns} FROM auth.audit_event ORDER BY event_id".encode()).fetchall():
            entry, before = Entry(*row), previous
            previous = Chain.hash(entry, before)
            by = forger if entry.event_id <= until else CHAIN
            changed = "previous_hash = %s, hash = %s, seal = %s, seal_key = %s"
            values = [before, previous, by.seal(previous), by.key_id, entry.event_id]
            connection.execute(f"UPDATE auth.audit_event SET {changed} WHERE event_id = %s".encode(), values)


@pytest.mark.parametrize("until", [7, 10], ids=["genuine events follow", "all of it"])
def test_a_log_that_was_sealed_anew_with_an_invented_key_is_found(
    log_settings: Settings, warehouse: Warehouse, until: int
) -> None:
    forger = Chain(b"f" * 32)
    reseal(log_settings, forger, until)
    assert "neither the current one nor named" in " ".join(verify(warehouse, CHAIN).problems)
    assert verify(warehouse, CHAIN, accepted=["another"]).problems


def test_events_of_an_earlier_secret_are_verified_with_it_or_accepted_by_the_id_of_its_key(
    log_settings: Settings, warehouse: Warehouse
) -> None:
    earlier = Chain(b"e" * 32)
    reseal(log_settings, earlier, 7)
    verified, accepted = (
        verify(warehouse, CHAIN, earlier=[earlier]),
        verify(warehouse, CHAIN, accepted=[earlier.key_id]),
    )
    assert (verified.problems, verified.not_verified) == ([], 0)
    assert (accepted.problems, accepted.not_verified) == ([], 7)
    forger = Chain(b"f" * 32)
    forger.key_id = earlier.key_id
    reseal(log_settings, forger, 7)
    assert "its seal is wrong" in " ".join(verify(warehouse, CHAIN, earlier=[earlier]).problems)


def test_the_removal_of_the_newest_events_is_found_by_an_expectation(
    log_settings: Settings, warehouse: Warehouse
) -> None:
    newest = verify(warehouse, CHAIN)
    expected = {"expected_id": newest.newest_id, "expected_hash": newest.newest_hash}
    assert not verify(warehouse, CHAIN, **expected).problems
    with psycopg.connect(log_settings.require("dsn_owner")) as connection:
        connection.execute("DELETE FROM auth.audit_event WHERE event_id > 8")
    assert not verify(warehouse, CHAIN).problems
    assert verify(warehouse, CHAIN, **expected).problems


@pytest.mark.parametrize(
    "statement",
    ["UPDATE auth.audit_event SET actor = 'x'", "DELETE FROM auth.audit_event", "TRUNCATE auth.audit_event"],
)
def test_the_api_can_only_append(log_settings: Settings, warehouse: Warehouse, statement: str) -> None:
    with (
        psycopg.connect(log_settings.require("dsn_serving")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_what_happens_to_accounts_is_recorded_without_secrets(api: Api, auth: Auth) -> None:
    new_account(auth, "audited")
    for password in ("a-password-that-is-wrong", PASSWORD):
        api.client.post("/auth/token", json={"username": "audited", "password": password})
    api.client.post("/auth/token", json={"username": "my-password-by-mistake", "password": "x"})
    session = auth.sessions.start(auth.accounts.account("audited"), "browser")
    auth.logout.end(None, session, "192.0.2.1")
    key = auth.api_keys.add("audited", "export", ["predict"], OPERATOR)
    auth.api_keys.revoke(key.key.prefix, OPERATOR)
    auth.account_changes.disable("audited", OPERATOR)
    with psycopg.connect(api.settings.require("dsn_owner")) as connection:
        rows = connection.execute(
            "SELECT action, outcome FROM auth.audit_event WHERE subject IN ('audited', %s) ORDER BY event_id",
            [key.key.prefix],
        ).fetchall()
        everything = str(connection.execute("SELECT to_jsonb(audit_event) FROM auth.audit_event").fetchall())
    assert rows == [
        ("account.created", "success"), ("login", "failure"), ("login", "success"), ("logout", "success"),
        ("api_key.created", "success"), ("api_key.revoked", "success"), ("account.disabled", "success"),
    ]  # fmt: skip
    for secret in ("a-password-that-is-wrong", PASSWORD, "my-password-by-mistake", session, key.text[17:]):
        assert secret not in everything
    assert not verify(api.services.warehouse, auth.chain).problems
