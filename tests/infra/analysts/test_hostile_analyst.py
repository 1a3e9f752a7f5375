"""A hostile analyst: what PostgreSQL lets a role try, and the outcome of each attempt."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from infra.analysts import logins
from infra.analysts.session_guard import Limits, SessionBeyondLimit, enforce, own_memory_bytes
from infra.local.stack import Stack
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

DENIED = psycopg.errors.InsufficientPrivilege
# Each runs after SET default_transaction_read_only = off, which every role may do (pgEdge/pgedge-postgres-mcp #196: the
# connected role can change each setting of a read-only mode).
ATTEMPTS = (
    # Locks that the platform waits for (awslabs/mcp #4575: advisory and row locks block others without a write).
    "SELECT pg_try_advisory_lock(7405001)",
    "SELECT pg_advisory_lock(7405001)",
    "SELECT pg_advisory_xact_lock(1, 2)",
    "SELECT pg_try_advisory_xact_lock_shared(7405002)",
    "BEGIN; LOCK TABLE marts.probe IN ACCESS EXCLUSIVE MODE",
    "BEGIN; LOCK TABLE marts.probe IN ROW SHARE MODE",
    "SELECT * FROM marts.probe FOR UPDATE",
    "SELECT * FROM marts.probe FOR KEY SHARE",
    # Writing, anywhere.
    "INSERT INTO marts.probe VALUES (2)",
    "UPDATE marts.probe SET n = 2",
    "DELETE FROM marts.probe",
    "TRUNCATE marts.probe",
    "DROP TABLE marts.probe",
    "COMMENT ON TABLE marts.probe IS 'mine'",
    "CREATE TABLE marts.mine (n int)",
    "CREATE TEMP TABLE mine (n int)",
    "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA mine",
    "CREATE DATABASE mine",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000))",
    "SELECT pg_current_xact_id()",
    "SELECT pg_notify('x', 'y')",
    "SELECT pg_export_snapshot()",
    # Beyond marts.
    "SELECT * FROM raw.okr_user_events",
    "SELECT * FROM app.users",
    "SELECT * FROM auth.account",
    "SELECT * FROM marts_build.probe",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY (SELECT 1) TO '/tmp/out'",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    # Becoming another role.
    "SET ROLE okr_analyst",
    "SET ROLE okr_owner",
    "SET SESSION AUTHORIZATION okr_transform",
    "CREATE ROLE mine LOGIN",
    "ALTER ROLE {me} SUPERUSER",
    "ALTER ROLE {me} CONNECTION LIMIT 100",
    "ALTER ROLE {me} VALID UNTIL 'infinity'",
    "ALTER ROLE okr_transform PASSWORD 'stolen'",
    "GRANT okr_owner TO {me}",
    # Ending other sessions, keeping the server busy, filling its disk and its log.
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "SELECT pg_sleep(3600)",
    "DO $$ BEGIN LOOP NULL; END LOOP; END $$",
    "SET temp_file_limit = -1",
    "SET log_min_messages = debug5",
    "SET log_statement = 'all'",
    "ALTER SYSTEM SET work_mem = '1TB'",
    "ALTER DATABASE okr SET work_mem = '1TB'",
    "CHECKPOINT",
)


@pytest.fixture
def superuser_dsn(test_stack: Stack, postgres: Settings) -> str:
    return str(test_stack.env["OKR_PG_SUPERUSER_DSN"])


@pytest.fixture
def eve(superuser_dsn: str, postgres: Settings) -> Iterator[dict[str, Any]]:
    """The connection parameters of an analyst's login for one test."""
    with psycopg.connect(postgres.require("dsn_transform"), autocommit=True) as transform:
        transform.execute("CREATE TABLE marts.probe AS SELECT 1 AS n")
        transform.execute("CREATE TABLE marts_build.probe AS SELECT 1 AS n")
    password = logins.add(superuser_dsn, "eve")
    try:
        yield conninfo_to_dict(postgres.require("dsn_analyst"), user="eve", password=password)
    finally:
        logins.remove(superuser_dsn, "eve")
        with psycopg.connect(postgres.require("dsn_transform"), autocommit=True) as transform:
            transform.execute("DROP TABLE marts.probe, marts_build.probe")


@contextmanager
def session(login: dict[str, Any]) -> Iterator[psycopg.Connection[Any]]:
    """A session that has lifted all limits that it can lift."""
    with psycopg.connect(**login, autocommit=True, connect_timeout=10) as connection:
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
            connection.execute(f"SET {setting} = 0".encode())
        connection.execute("SET default_transaction_read_only = off")
        yield connection


def test_an_analyst_reads_the_marts(eve: dict[str, Any]) -> None:
    with session(eve) as connection:
        assert connection.execute("SELECT n FROM probe").fetchone() == (1,)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_is_refused(eve: dict[str, Any], attempt: str) -> None:
    with session(eve) as connection, pytest.raises(DENIED):
        connection.execute(attempt.format(me="eve").encode())


def test_drops_and_grants_by_an_analyst_have_no_effect(eve: dict[str, Any]) -> None:
    with session(eve) as connection:
        connection.execute("DROP OWNED BY eve")
        connection.execute("GRANT SELECT ON marts.probe TO PUBLIC")  # only a warning: no privileges were granted
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
        assert connection.execute("SELECT n FROM marts.probe").fetchone() == (1,)
    with session(eve) as connection:
        assert connection.execute("SELECT n FROM marts.probe").fetchone() == (1,)


def test_an_analyst_can_call_no_function_that_changes_something(eve: dict[str, Any]) -> None:
    """Each volatile function of PostgreSQL is either revoked or known to be harmless."""
    harmless = (
        r"^(RI_FKey_|pg_stat_|pg_get_|pg_last_|pg_control_|pg_xact_|pg_current_wal_|pg_wal_|pg_available_|pg_partition_|"
        r"pg_is_|pg_.*_size$|.*_to_xml|.*handler$|currval|nextval|lastval|setval|currtid2|dsnowball_|amvalidate|array_|"
        r"bernoulli|system|random|clock_timestamp|timeofday|current_query|gen_random_uuid|uuidv|setseed|set_config|ts_|"
        r"tsvector_|txid_status|unique_key_recheck|suppress_|plpgsql_|pg_blocking_pids|pg_collation_|pg_database_coll|"
        r"pg_extension_config_dump|pg_isolation_|pg_jit_available|pg_lock_status|pg_notification_queue_usage|"
        r"pg_prepared_xact|pg_safe_snapshot|pg_sequence_last_value|pg_stop_making_pinned|cursor_to_xml|query_to_xml)"
    )
    with session(eve) as connection:
        rows = connection.execute(
            "SELECT proname FROM pg_proc WHERE provolatile = 'v' AND prokind = 'f' AND proname !~ %s "
            "AND has_function_privilege(oid, 'EXECUTE')", (harmless,)
        ).fetchall()  # fmt: skip
    assert rows == []


def test_statements_of_an_analyst_are_not_in_the_server_log(eve: dict[str, Any], test_stack: Stack) -> None:
    with session(eve) as connection:
        for statement in (
            "ALTER ROLE okr_owner PASSWORD 'secret-of-a-failing-statement'",
            "SELECT 'secret-of-a-cast'::int",
            "SET debug_print_plan = on",
        ):
            try:
                connection.execute(statement.encode())
            except psycopg.Error:
                continue
        connection.execute("SELECT 'secret-of-a-plan'")
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT %s::int", ("secret-of-a-parameter",))
    log = (Path(test_stack.state) / "logs" / "postgres.log").read_text(encoding="utf-8", errors="replace")
    assert "secret-of-a" not in log


def test_a_failing_statement_of_the_platform_logs_no_password(superuser_dsn: str, test_stack: Stack) -> None:
    with psycopg.connect(superuser_dsn, autocommit=True) as connection, pytest.raises(psycopg.Error):
        connection.execute("ALTER ROLE there_is_none PASSWORD 'secret-of-the-platform'")
    log = (Path(test_stack.state) / "logs" / "postgres.log").read_text(encoding="utf-8", errors="replace")
    assert "there_is_none" in log
    assert "secret-of-the-platform" not in log


def test_temporary_files_are_limited(eve: dict[str, Any], superuser_dsn: str) -> None:
    with session(eve) as connection:
        assert connection.execute("SHOW temp_file_limit").fetchone() == ("1GB",)


def test_an_analyst_cannot_use_up_the_platforms_connections(eve: dict[str, Any]) -> None:
    with ExitStack() as opened:
        for _ in range(logins.MAX_CONNECTIONS):
            opened.enter_context(psycopg.connect(**eve))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(**eve)


def test_a_changed_password_and_changed_settings_are_reset(eve: dict[str, Any], superuser_dsn: str) -> None:
    with session(eve) as connection:
        connection.execute("ALTER ROLE eve PASSWORD 'weak'")
        connection.execute("ALTER ROLE eve SET statement_timeout = 0")
        connection.execute("ALTER ROLE eve IN DATABASE okr SET search_path = pg_catalog")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**eve)
    with connect(superuser_dsn, autocommit=True) as superuser:
        found = {login.role: login.changed for login in logins.logins(superuser)}
        assert found["eve"] == "the password and the settings statement_timeout and settings in okr"
        assert enforce(superuser, Limits()) == []
        assert {login.role: login.changed for login in logins.logins(superuser)}["eve"] is None
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**(eve | {"password": "weak"}))
    with psycopg.connect(**eve) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("2min",)
        assert connection.execute("SHOW search_path").fetchone() == ("marts",)


@pytest.mark.parametrize(
    ("statements", "limits", "reason"),
    [
        (("SELECT count(*) FROM generate_series(1, 100000000000)",), Limits(statement_s=0), "one statement ran"),
        (("BEGIN", "SELECT * FROM probe"), Limits(idle_s=0), "idle in a transaction"),
        (("BEGIN", "SELECT 1"), Limits(transaction_s=0), "one transaction lasted"),
        (("BEGIN", "SELECT 1"), Limits(memory_bytes=1), "of memory"),
    ],
)
def test_a_session_that_exceeds_a_limit_is_ended(
    eve: dict[str, Any], superuser_dsn: str, statements: tuple[str, ...], limits: Limits, reason: str
) -> None:
    def run() -> None:
        with suppress(psycopg.OperationalError):
            for statement in statements:
                connection.execute(statement.encode())

    with session(eve) as connection, connect(superuser_dsn, autocommit=True) as superuser:
        busy = threading.Thread(target=run)
        busy.start()
        found: list[SessionBeyondLimit] = []
        while not found:
            found = [each for each in enforce(superuser, limits) if each.role == "eve"]
        busy.join(10)
        assert reason in found[0].reason
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_sessions_within_their_limits_and_other_roles_are_not_ended(
    eve: dict[str, Any], superuser_dsn: str, postgres: Settings
) -> None:
    with (
        session(eve) as connection,
        psycopg.connect(postgres.require("dsn_transform")) as transform,
        connect(superuser_dsn, autocommit=True) as superuser,
    ):
        transform.execute("SELECT 1")
        connection.execute("BEGIN")
        assert enforce(superuser, Limits()) == []
        assert (own_memory_bytes(superuser) or 0) > 100_000
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert transform.execute("SELECT 1").fetchone() == (1,)
