"""DSNs and connections: independent of the environment, and always with timeouts."""

import os
import re
import socket
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from expectations.gx_runner import TableLocation
from lakehouse.connection_limits import GRACE_S, NETWORK_TIMEOUTS, Limits
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.settings import Settings
from lakehouse.warehouse import (
    connect,
    dbt_environment,
    parts_of,
    session,
    set_response_timeout,
    sqlalchemy_url,
)
from serving.publication_reader import Warehouse
from tests import hostile_environment
from tests.silent_proxy import Proxy, proxy

SECURE = "postgresql://role:p%40ss@db.example:6432/okr?sslmode=verify-full&sslrootcert=/etc/ca.pem"


@pytest.fixture
def silent(postgres: Settings) -> Iterator[tuple[Proxy, str]]:
    """A proxy in front of the real server, and the loader's DSN that uses it."""
    parts = parts_of(postgres.require("dsn_loader"))
    with proxy(parts["host"], int(parts["port"])) as between:
        yield between, make_conninfo(postgres.require("dsn_loader"), port=between.port)


@pytest.mark.parametrize(
    "dsn",
    [
        SECURE,
        SECURE.replace("postgresql:", "postgresql+psycopg2:"),
        "host=db.example port=6432 dbname=okr user=role password=p@ss sslmode=verify-full sslrootcert=/etc/ca.pem",
    ],
)
def test_all_forms_of_a_dsn_give_the_same_parameters(dsn: str) -> None:
    parts = parts_of(dsn)
    assert (parts["host"], parts["port"], parts["dbname"], parts["user"]) == ("db.example", "6432", "okr", "role")
    assert (parts["password"], parts["sslmode"], parts["sslrootcert"]) == ("p@ss", "verify-full", "/etc/ca.pem")


def test_tls_parameters_of_a_dsn_reach_every_client() -> None:
    for url in (
        sqlalchemy_url(SECURE, "mlflow", driver="psycopg2", limits=None),
        sqlalchemy_url(SECURE, "okr-migrate"),
        TableLocation(SECURE, ("raw",)).url(),
    ):
        read = make_url(url)
        arguments = read.get_dialect()().create_connect_args(read)[1]
        assert (arguments["sslmode"], arguments["sslrootcert"]) == ("verify-full", "/etc/ca.pem")
        assert (arguments["host"], arguments["password"]) == ("db.example", "p@ss")
        assert arguments["keepalives_idle"] == "30"
    environment = dbt_environment(Settings(dsn_transform=SecretStr(SECURE)))
    assert environment["OKR_DBT_SSLMODE"] == "verify-full"
    assert environment["OKR_DBT_SSLROOTCERT"] == "/etc/ca.pem"


def test_two_hosts_and_options_of_a_dsn_are_preserved() -> None:
    dsn = "host=a,b port=1,2 dbname=okr user=r password=x options='-c work_mem=1MB' target_session_attrs=read-write"
    read = make_url(sqlalchemy_url(dsn, "okr"))
    arguments = read.get_dialect()().create_connect_args(read)[1]
    assert (arguments["host"], arguments["port"]) == ("a,b", "1,2")
    assert arguments["target_session_attrs"] == "read-write"
    assert arguments["options"].startswith("-c work_mem=1MB -c timezone=UTC")


def test_a_security_parameter_that_dbt_cannot_pass_on_is_an_error() -> None:
    dsn = SecretStr(f"{SECURE}&channel_binding=require")
    with pytest.raises(PermanentError, match="contains channel_binding, which dbt cannot pass to"):
        dbt_environment(Settings(dsn_transform=dsn))


def test_libpq_variables_of_the_environment_are_ignored(
    postgres: Settings, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Snowflake-Labs/pg_lake pull 401: PGHOSTADDR led a client with an explicit host to another server.
    for name, value in hostile_environment.variables(tmp_path).items():
        if name.startswith("PG"):
            monkeypatch.setenv(name, value)
    with connect(postgres.require("dsn_loader")) as connection:
        assert connection.info.port == int(parts_of(postgres.require("dsn_loader"))["port"])
        assert connection.execute("SHOW statement_timeout").fetchone() == ("10min",)
        assert connection.execute("SHOW lock_timeout").fetchone() == ("5min",)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
    assert not [name for name in os.environ if name.startswith("PG")]


# psycopg/psycopg2 issue 561, psycopg/psycopg issue 777: a query hangs for two hours after its connection was lost.
def test_the_kernel_gives_up_a_vanished_server(postgres: Settings) -> None:
    with connect(postgres.require("dsn_loader")) as connection:
        kernel = socket.socket(fileno=os.dup(connection.fileno()))
        with kernel:
            assert kernel.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
            assert kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        for name in ("tcp_keepalives_idle", "tcp_user_timeout"):
            assert connection.execute(f"SHOW {name}").fetchone() in [("30",), ("60000",)]


def test_an_unresponsive_server_fails_the_statement_and_closes_the_connection(silent: tuple[Proxy, str]) -> None:
    between, dsn = silent
    connection = connect(dsn, limits=Limits(statement_s=1))
    connection.response_timeout_s = 1.5
    assert connection.execute("SELECT 1").fetchone() == (1,)
    between.fall_silent()
    started = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="has not responded for 2 s"):
        connection.execute("SELECT 1")
    assert time.monotonic() - started < 10
    assert connection.closed
    connection.close()


def test_an_unresponsive_server_fails_a_copy_and_a_commit_too(silent: tuple[Proxy, str]) -> None:
    between, dsn = silent
    connection = connect(dsn)
    connection.response_timeout_s = 1.0
    connection.execute("CREATE TEMPORARY TABLE probe (n int)")

    def copy() -> None:
        with connection.cursor() as cursor, cursor.copy("COPY probe FROM STDIN") as rows:
            rows.write(b"1\n")
            between.fall_silent()

    started = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        copy()
    assert time.monotonic() - started < 10
    connection.close()


@pytest.mark.parametrize(
    ("address", "named"), [("host=127.0.0.1", "127.0.0.1"), ("host=db.example hostaddr=127.0.0.1", "127.0.0.1")]
)
def test_a_server_that_refuses_the_connection_is_named_by_the_address_that_was_used(address: str, named: str) -> None:
    with pytest.raises(RetryableError, match=f"PostgreSQL at {named}:1 did not accept a connection of role 'r'"):
        connect(f"{address} port=1 user=r dbname=d")


def test_connecting_to_an_unresponsive_listener_ends_with_the_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORK_TIMEOUTS, "connect_timeout", "2")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        dsn = f"postgresql://role:hunter2@127.0.0.1:{mute.getsockname()[1]}/okr"
        started = time.monotonic()
        with pytest.raises(RetryableError, match="did not accept a connection of role 'role'") as refused:
            connect(dsn)
    assert time.monotonic() - started < 20
    assert "hunter2" not in str(refused.value)


def test_the_pool_of_the_api_drops_an_unresponsive_server_and_recovers(
    silent: tuple[Proxy, str], postgres: Settings
) -> None:
    between, dsn = silent
    warehouse = Warehouse(dsn)
    warehouse.open()
    try:
        with warehouse.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        between.fall_silent()
        started = time.monotonic()
        with pytest.raises(RetryableError), warehouse.connection() as connection:
            connection.execute("SELECT 1")
        assert time.monotonic() - started < 15
    finally:
        warehouse.close()


def test_sqlalchemy_connections_time_out_too(silent: tuple[Proxy, str]) -> None:
    between, dsn = silent
    engine = create_engine(sqlalchemy_url(dsn, "okr-gate"))
    set_response_timeout(engine, Limits(statement_s=1).response_s)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert driver.response_timeout_s == 1 + GRACE_S
        driver.response_timeout_s = 1.0
        assert connection.execute(text("SELECT 1")).scalar() == 1
        between.fall_silent()
        with pytest.raises(Exception, match="has not responded"):
            connection.execute(text("SELECT 1"))
    engine.dispose()


def test_waiting_for_a_lock_times_out(postgres: Settings) -> None:
    dsn = postgres.require("dsn_loader")
    with connect(dsn) as holder, connect(dsn, limits=Limits(lock_s=1)) as waiter:
        holder.execute("SELECT pg_advisory_xact_lock(42)")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            waiter.execute("SELECT pg_advisory_xact_lock(42)")


def test_a_session_contains_all_parameters_passed_to_libpq() -> None:
    parameters = session(SECURE, "okr-test", Limits(statement_s=7, lock_s=3, idle_s=5))
    assert re.search(
        r"statement_timeout=7s .*lock_timeout=3s .*idle_in_transaction_session_timeout=5s", parameters["options"]
    )
    assert parameters["application_name"] == "okr-test"
    assert parameters["sslmode"] == "verify-full"
