"""PostgreSQL by sslmode=verify-full: every client library gets the parameters of the DSN and refuses wrong servers."""

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, exc, text

from expectations.gx_runner import TableLocation
from infra.local.airflow import airflow_environment
from infra.local.executables import ROOT
from infra.local.mlflow import mlflow_environment
from infra.local.stack import Stack, prepare_stack
from infra.migrations.migrate import migrate
from lakehouse.connection_limits import BATCH
from lakehouse.errors import OkrError, RetryableError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, dbt_environment, sqlalchemy_url
from ml.mlflow_client import store_uri
from serving.publication_reader import Warehouse
from tests.background_logs import BackgroundLog
from tests.ops.certificates import CertificateAuthority, expired
from tests.ops.tls.postgres_server import SecuredPostgres

IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
AIRFLOW = """
import asyncio
from airflow import settings
from sqlalchemy import text

async def by_async_session():
    async with settings.AsyncSession() as session:
        print("encrypted:", await session.scalar(text("{query}")))
    await settings.async_engine.dispose()

settings.configure_vars()
settings.configure_orm()
with settings.Session() as session:
    print("encrypted:", session.scalar(text("{query}")))
asyncio.run(by_async_session())
"""


def by_psycopg(dsn: str) -> object:
    with connect(dsn) as connection:
        return connection.execute(IS_ENCRYPTED).fetchone()


def by_pool_of_the_api(dsn: str) -> object:
    with closing(Warehouse(dsn)) as warehouse:
        warehouse.open()
        with warehouse.connection() as connection:
            return connection.execute(IS_ENCRYPTED).fetchone()


def by_engine(url: str) -> object:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.execute(text(IS_ENCRYPTED)).fetchone()
    finally:
        engine.dispose()


def by_alembic(dsn: str) -> object:
    return by_engine(sqlalchemy_url(dsn, "okr-migrate", limits=BATCH))


def by_mlflow_client(dsn: str) -> object:
    return by_engine(store_uri(Settings(mlflow_store_uri=SecretStr(dsn))))


def by_mlflow_server(dsn: str) -> object:
    return by_engine(mlflow_environment(stack_with(dsn))["MLFLOW_BACKEND_STORE_URI"])


def by_great_expectations(dsn: str) -> object:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings(action="ignore"):
        import great_expectations as gx
        from great_expectations.datasource.fluent.interfaces import TestConnectionError
    url = TableLocation(dsn, ("public",)).url()
    try:
        warehouse = gx.get_context(mode="ephemeral").data_sources.add_postgres("warehouse", connection_string=url)
    except TestConnectionError as error:
        raise RetryableError(str(error.__cause__)) from error
    engine = warehouse.get_engine()
    try:
        with engine.connect() as connection:
            return connection.execute(text(IS_ENCRYPTED)).fetchone()
    finally:
        engine.dispose()


def by_airflow(dsn: str) -> object:
    """Use the sessions of Airflow's metadata database, the usual one and the asynchronous one."""
    script = AIRFLOW.format(query=IS_ENCRYPTED)
    run = subprocess.run(
        [sys.executable, "-c", script], env=airflow_environment(stack_with(dsn)), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    if run.returncode:
        raise RetryableError(run.stderr)
    assert re.findall("^encrypted: (.*)$", run.stdout, re.MULTILINE) == ["True", "True"], run.stderr
    return (True,)


def by_dbt(dsn: str) -> object:
    """Connect with the profile of the project."""
    settings = Settings(dsn_transform=SecretStr(dsn))
    folder = Path(settings.dbt_target_dir).parent
    run = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "debug", "--connection", "--project-dir", ROOT / "dbt_project",
         "--profiles-dir", ROOT / "dbt_project", "--log-path", folder],
        env={"PATH": os.environ["PATH"], "HOME": str(folder)} | dbt_environment(settings),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if run.returncode:
        raise RetryableError(run.stdout)
    return (True,)


CLIENTS: dict[str, Callable[[str], object]] = {
    function.__name__: function
    for function in (
        by_psycopg, by_pool_of_the_api, by_alembic, by_mlflow_client, by_mlflow_server, by_great_expectations,
        by_dbt, by_airflow,
    )
}  # fmt: skip
QUICK = ("by_psycopg", "by_alembic", "by_mlflow_client", "by_mlflow_server", "by_great_expectations")
REFUSALS = (OkrError, exc.OperationalError)


def stack_with(dsn: str) -> Stack:
    """Return a stack whose databases of Airflow and MLflow are at a DSN."""
    stack = prepare_stack(Path(os.environ["OKR_STATE"]) / "tls")
    of_the_tools = dict.fromkeys(("OKR_AIRFLOW_DSN", "OKR_MLFLOW_STORE_URI"), dsn.replace(":", "+psycopg2:", 1))
    return Stack(stack.state, dict(stack.env) | of_the_tools)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_connects_with_the_right_authority(client: str, secured_postgres: SecuredPostgres) -> None:
    assert CLIENTS[client](secured_postgres.dsn()) == (True,)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_refuses_a_certificate_of_another_authority(
    client: str, secured_postgres: SecuredPostgres, other_authority: CertificateAuthority
) -> None:
    with pytest.raises(REFUSALS) as raised:
        CLIENTS[client](secured_postgres.dsn(ca_file=other_authority.file))
    assert secured_postgres.password not in str(raised.value)
    if client != "by_pool_of_the_api":  # a caller of the API gets no details; they are in the log
        assert "certificate verify failed" in str(raised.value)


@pytest.mark.parametrize("client", QUICK)
def test_each_client_refuses_an_expired_certificate_and_one_of_another_host(
    client: str, secured_postgres: SecuredPostgres, authority: CertificateAuthority
) -> None:
    for certificate in (
        authority.issue("expired", ends_at=expired()),
        authority.issue("other-host", ["db.example.org"]),
    ):
        with secured_postgres.showing(certificate), pytest.raises(REFUSALS, match="certificate"):
            CLIENTS[client](secured_postgres.dsn())


def test_the_error_says_in_one_line_why_and_what_to_do(
    secured_postgres: SecuredPostgres, authority: CertificateAuthority, other_authority: CertificateAuthority
) -> None:
    dsn, at = secured_postgres.dsn(), f"localhost:{secured_postgres.port}"
    stranger = secured_postgres.dsn(ca_file=other_authority.file)
    assert f"The certificate of {at} is not signed by an authority in the DSN's sslrootcert" in why(stranger)
    with secured_postgres.showing(authority.issue("old", ends_at=expired())):
        assert f"The certificate of {at} has expired. Renew it on the server" in why(dsn)
        with pytest.raises(RetryableError, match=r"could not be migrated: .* has expired\. Renew it"):
            migrate(dsn)
    with secured_postgres.showing(authority.issue("other", ["db.example.org"])):
        assert 'certificate for "db.example.org" does not match host name "localhost"' in why(dsn)
    with secured_postgres.showing(authority.issue("unused"), ssl="off"):
        assert "server does not support SSL, but SSL was required" in why(dsn)
    assert "no encryption" in why(secured_postgres.dsn(sslmode="disable"))
    assert 'password authentication failed for user "okr"' in why(dsn.replace(secured_postgres.password, "wrong"))
    assert 'certificate file "/nowhere" does not exist' in why(secured_postgres.dsn(ca_file=Path("/nowhere")))


def test_the_api_logs_why_its_pool_cannot_connect(
    secured_postgres: SecuredPostgres, other_authority: CertificateAuthority, background_log: BackgroundLog
) -> None:
    with pytest.raises(RetryableError):
        by_pool_of_the_api(secured_postgres.dsn(ca_file=other_authority.file))
    assert "is not signed by an authority in the DSN's sslrootcert" in background_log.text


def why(dsn: str) -> str:
    with pytest.raises(RetryableError) as raised:
        connect(dsn)
    assert "\n" not in str(raised.value)
    return str(raised.value)
