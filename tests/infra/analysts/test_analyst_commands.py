"""`okr analyst`: logins are added, listed and removed at a terminal."""

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from infra.analysts import logins
from infra.analysts.connection_url import connection_url
from infra.analysts.session_guard import Limits, enforce
from infra.local.postgres import Postgres
from infra.local.stack import Stack
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.okr_command import OKR


def okr(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OKR_STATE": str(stack.state)}
    return subprocess.run(
        [OKR, "analyst", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_login_is_added_listed_and_removed(test_stack: Stack, postgres: Settings) -> None:
    added = okr(test_stack, "add", "maria", "--organisation", "acme")
    address = added.stdout.strip()
    assert added.returncode == 0, added.stderr
    assert "shown only once" in added.stderr
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT current_user, current_setting('search_path')").fetchone() == (
            "maria", "marts"
        )  # fmt: skip
        listed = okr(test_stack, "list").stdout
        assert "maria\tsince=" in listed
        assert "sessions=1 of 5\torganisation=acme" in listed
        removed = okr(test_stack, "remove", "maria")
        assert removed.stdout == "maria can no longer log in.\n", removed.stderr
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address)
    assert "maria" not in okr(test_stack, "list").stdout


def test_a_login_is_managed_with_the_settings_of_a_server(
    test_stack: Stack, postgres: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKR_PG_SUPERUSER_DSN", postgres.require("pg_superuser_dsn"))
    tls = "sslmode=verify-full&sslrootcert=/etc/okr/tls/ca.pem"
    monkeypatch.setenv("OKR_DSN_SERVING", f"postgresql://okr_serving:x@db.example.org:5433/okr?{tls}")
    server = Stack(tmp_path, {})  # without a stack.env
    added = okr(server, "add", "iris")
    assert added.returncode == 0, added.stderr
    address = added.stdout.strip()
    assert re.fullmatch(r"postgresql://iris:[^@]+@db\.example\.org:5433/okr\?sslmode=verify-full", address)
    assert "certificate /etc/okr/tls/ca.pem" in added.stderr
    here = {"host": "127.0.0.1", "port": str(test_stack.port("postgres")), "sslmode": "prefer"}
    psycopg.connect(**(conninfo_to_dict(address) | here)).close()
    assert "iris\tsince=" in okr(server, "list").stdout
    assert okr(server, "remove", "iris").returncode == 0
    monkeypatch.delenv("OKR_PG_SUPERUSER_DSN")
    assert "The setting OKR_PG_SUPERUSER_DSN is empty" in okr(server, "list").stderr


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("db.example.org", "db.example.org:5432/okr"),
        ("[2001:db8::1]:5433", "[2001:db8::1]:5433/okr"),
        ("a.example.org,b.example.org:5433", "a.example.org:5432,b.example.org:5433/okr"),
    ],
)
def test_the_printed_address_has_the_hosts_of_the_settings(server: str, expected: str) -> None:
    settings = Settings(pg_superuser_dsn=f"postgresql://postgres:x@{server}/postgres")
    assert connection_url(settings, "iris", "secret") == f"postgresql://iris:secret@{expected}"


def test_adding_a_login_again_replaces_its_password(test_stack: Stack, postgres: Settings) -> None:
    superuser = test_stack.env["OKR_PG_SUPERUSER_DSN"]
    login = conninfo_to_dict(postgres.require("dsn_analyst"), user="noor")
    before, after = (logins.add(superuser, "noor") for _ in range(2))
    try:
        psycopg.connect(**(login | {"password": after})).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**(login | {"password": before}))
    finally:
        logins.remove(superuser, "noor")


def test_a_password_is_neither_stored_nor_logged(test_stack: Stack, postgres: Settings) -> None:
    password = logins.add(test_stack.env["OKR_PG_SUPERUSER_DSN"], "lin")
    try:
        files = {path for path in Path(test_stack.state).rglob("*") if path.is_file()}
        assert {"stack.env", "postgres.log", "pg_hba.conf"} <= {path.name for path in files}
        for path in files:
            with suppress(FileNotFoundError):  # PostgreSQL deletes and rewrites files of its catalogue's cache
                assert password.encode() not in path.read_bytes(), path
    finally:
        logins.remove(test_stack.env["OKR_PG_SUPERUSER_DSN"], "lin")


def test_no_password_verifier_is_logged_whatever_the_log_settings(test_stack: Stack, postgres: Settings) -> None:
    superuser = test_stack.env["OKR_PG_SUPERUSER_DSN"]
    log = Path(test_stack.state) / "logs" / "postgres.log"
    with psycopg.connect(superuser, autocommit=True) as connection:
        for setting in ("log_statement = 'all'", "log_min_duration_statement = 0"):
            connection.execute(f"ALTER ROLE postgres SET {setting}".encode())
        before = log.stat().st_size
        try:
            logins.add(superuser, "uma")
            with connect(superuser, autocommit=True) as guard:
                guard.execute("ALTER ROLE uma RESET statement_timeout")
                assert [login.role for login in logins.reset_changed(guard)] == ["uma"]
            Postgres(test_stack).after_start()
        finally:
            for setting in ("log_statement", "log_min_duration_statement"):
                connection.execute(f"ALTER ROLE postgres RESET {setting}".encode())
            logins.remove(superuser, "uma")
    logged = log.read_bytes()[before:].decode()
    assert 'ALTER ROLE "uma" SET' in logged, "the server must log all statements during this test"
    assert "SCRAM-SHA-256" not in logged
    assert test_stack.env["OKR_PG_LOADER_PASSWORD"] not in logged


def test_an_interrupted_removal_is_listed_and_can_be_completed(test_stack: Stack, postgres: Settings) -> None:
    superuser = test_stack.env["OKR_PG_SUPERUSER_DSN"]
    logins.add(superuser, "ada")
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA hers AUTHORIZATION ada")
        try:
            with pytest.raises(RetryableError, match=r"ada can no longer log in.*okr analyst remove ada` again"):
                logins.remove(superuser, "ada")
            assert "removal interrupted: `okr analyst remove ada` completes it" in okr(test_stack, "list").stdout
        finally:
            connection.execute("DROP SCHEMA hers")
    logins.remove(superuser, "ada")
    assert "ada" not in okr(test_stack, "list").stdout


def test_an_unknown_member_of_the_group_is_reported_once_and_not_changed(
    test_stack: Stack, postgres: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    superuser = test_stack.env["OKR_PG_SUPERUSER_DSN"]
    with connect(superuser, autocommit=True) as connection:
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'x' IN ROLE okr_analyst")
        try:
            reported: set[str] = set()
            for _ in range(3):
                enforce(connection, Limits(), reported)
            assert reported == {"stranger"}
            assert capsys.readouterr().err.count("stranger") == 1
            with pytest.raises(PermanentError, match="is already a role of the platform"):
                logins.add(superuser, "stranger")
            with pytest.raises(PermanentError, match="There is no analyst 'stranger'"):
                logins.remove(superuser, "stranger")
            assert "not created by `okr analyst add`" in okr(test_stack, "list").stdout
        finally:
            connection.execute("DROP ROLE stranger")


def test_adding_a_role_of_the_platform_fails_with_one_line(test_stack: Stack, postgres: Settings) -> None:
    answer = okr(test_stack, "add", "okr_owner")
    assert answer.returncode == 1
    recorded, message = answer.stderr.splitlines()
    assert "action=analyst.added" in recorded  # the copy of the audit log
    assert message == "okr: 'okr_owner' is already a role of the platform; choose another name for the analyst."


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (logins.add, "postgres", "is already a role of the platform"),
        (logins.add, "okr_analyst", "is already a role of the platform"),
        (logins.add, "Robert'); DROP TABLE", "A login must start with a letter"),
        (logins.add, "pg_monitor", "A login must start with a letter"),
        (logins.add, "analyst", "is the local stack's own login"),
        (logins.remove, "okr_owner", "There is no analyst 'okr_owner'. Existing analysts: analyst"),
        (logins.remove, "analyst", "is the local stack's own login"),
    ],
)
def test_roles_that_are_not_analysts_cannot_be_changed(
    test_stack: Stack, postgres: Settings, change: Callable[[str, str], object], name: str, message: str
) -> None:
    with pytest.raises(PermanentError, match=re.escape(message)):
        change(test_stack.env["OKR_PG_SUPERUSER_DSN"], name)


def test_the_next_start_resets_the_local_login(test_stack: Stack, postgres: Settings) -> None:
    with psycopg.connect(postgres.require("dsn_analyst"), autocommit=True) as analyst:
        analyst.execute("SET default_transaction_read_only = off")
        analyst.execute("ALTER ROLE analyst PASSWORD 'mine'")
        analyst.execute("ALTER ROLE analyst SET statement_timeout = 0")
    Postgres(test_stack).after_start()
    with psycopg.connect(postgres.require("dsn_analyst")) as analyst:
        assert analyst.execute("SHOW statement_timeout").fetchone() == ("2min",)


def test_a_start_without_changes_writes_nothing_to_the_function_catalogue(
    test_stack: Stack, postgres: Settings
) -> None:
    counted = "SELECT n_tup_upd FROM pg_stat_sys_tables WHERE relname = 'pg_proc'"
    with psycopg.connect(test_stack.env["OKR_PG_SUPERUSER_DSN"].rpartition("/")[0] + "/okr", autocommit=True) as su:
        before = su.execute(counted).fetchone()
        Postgres(test_stack).after_start()
        su.execute("SELECT pg_stat_force_next_flush()")
        assert su.execute(counted).fetchone() == before
