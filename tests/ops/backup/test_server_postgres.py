"""Backups of a PostgreSQL that is installed as on servers: Debian's programs, another major version, TLS, own role."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from infra.backup import restored_postgres
from infra.backup.point import points_of
from infra.backup.postgres import program
from infra.backup.run import open_repository, run
from infra.backup.temporary_server import temporary_server
from infra.local import unprivileged
from infra.local.ports import choose
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.settings import Settings
from tests.ops.certificates import CertificateAuthority
from tests.ops.conftest import RequirePrograms
from tests.polling import until

MAJOR = 15
SCHEMA = """
CREATE SCHEMA raw; CREATE SCHEMA app;
CREATE TABLE raw.load_watermark (topic text, kafka_partition int, next_offset bigint, log_id text);
CREATE TABLE app.consumer_offset
(log_id text, consumer_group text, topic text, kafka_partition int, next_offset bigint);
CREATE TABLE app.data_key (owner text, kek_id text, wrapped_key bytea, destroyed_at timestamptz);
CREATE TABLE public.schema_version (version_num text);
INSERT INTO public.schema_version VALUES ('0001');
INSERT INTO app.data_key VALUES ('user:erased', 'kek', 'key', NULL), ('user:other', 'kek', 'key', NULL);
CREATE TABLE public.rows AS SELECT generate_series(1, 100000) AS n;
"""
ROLE = """
CREATE ROLE okr_backup LOGIN REPLICATION PASSWORD 'a password of the role';
GRANT pg_read_all_data TO okr_backup;
GRANT EXECUTE ON FUNCTION pg_create_restore_point(text), pg_switch_wal() TO okr_backup;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, require_programs: RequirePrograms) -> Iterator[dict[str, str]]:
    """A running cluster of PostgreSQL 15 that accepts only TLS, as DSNs by role."""
    require_programs("restic")
    folder = tmp_path_factory.mktemp("server")
    data, port = folder / "data", choose(set())
    authority = CertificateAuthority(folder / "ca")
    certificate = authority.issue("server")
    unprivileged.give_ownership(certificate.key)
    unprivileged.give_ownership(folder)
    _as_server("initdb", f"--pgdata={data}", "--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256")
    (data / "pg_hba.conf").write_text(
        "local all all trust\nhostssl replication okr_backup 127.0.0.1/32 scram-sha-256\n"
        "hostssl all okr_backup 127.0.0.1/32 scram-sha-256\n", encoding="ascii",
    )  # fmt: skip
    settings = {
        "port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), "ssl": "on",
        "ssl_cert_file": str(certificate.certificate), "ssl_key_file": str(certificate.key), "fsync": "off",
    }  # fmt: skip
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        [*unprivileged.command_prefix(), program("postgres", MAJOR), "-D", str(data), *words], cwd=folder
    )
    admin = f"host={folder} port={port} user=postgres"
    tls = f"sslmode=verify-full sslrootcert={authority.file}"
    try:
        until(lambda: _accepts(f"{admin} dbname=postgres"), "the server accepts connections")
        with psycopg.connect(f"{admin} dbname=postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE okr")
        with psycopg.connect(f"{admin} dbname=okr", autocommit=True) as connection:
            connection.execute(SCHEMA)
            connection.execute(ROLE)  # rights on functions are those of one database
        backup = f"host=127.0.0.1 port={port} user=okr_backup password='a password of the role' dbname=okr {tls}"
        yield {"admin": f"{admin} dbname=okr", "backup": backup}
    finally:
        process.terminate()
        process.wait(30)


def _as_server(name: str, *arguments: str) -> None:
    subprocess.run([*unprivileged.command_prefix(), program(name, MAJOR), *arguments], check=True, capture_output=True)


def _accepts(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="module")
def settings(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a backup host, with its repository."""
    state = tmp_path_factory.mktemp("backup")
    found = Settings(
        state=state, lake_uri=str(state / "lake"), dsn_backup=SecretStr(server["backup"]),
        backup_repository=str(state.parent / "repository-15"), backup_password=SecretStr("the password"),
    )  # fmt: skip
    open_repository(found).create()
    return found


def test_a_server_is_saved_over_tls_and_restored_and_the_erased_stay_erased(
    server: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    run(settings, {"postgres", "wal", "lake"}, print)
    with psycopg.connect(server["admin"], autocommit=True) as connection:
        connection.execute("INSERT INTO public.rows SELECT generate_series(100001, 100100)")
    first = run(settings, {"wal", "lake"}, print)
    with psycopg.connect(server["admin"], autocommit=True) as connection:
        connection.execute("DELETE FROM public.rows")
        connection.execute(
            "UPDATE app.data_key SET destroyed_at = now(), wrapped_key = NULL WHERE owner = 'user:erased'"
        )
    newest = run(settings, {"wal", "lake"}, print)
    assert newest.cut.destroyed == ("user:erased",)
    assert newest.postgres_major == MAJOR
    repository = open_repository(settings)
    recovered = restored_postgres.restore(
        repository, first, first.base, None, tmp_path / "postgres", settings.state, newest.cut.destroyed
    )
    assert recovered.destroyed_again == 1
    with (
        temporary_server(tmp_path / "postgres" / "data", MAJOR, settings.state, {}) as dsn,
        psycopg.connect(f"{dsn} dbname=okr") as connection,
    ):
        assert connection.execute("SELECT count(*) FROM public.rows").fetchone() == (100_100,)
        keys = connection.execute("SELECT owner FROM app.data_key WHERE wrapped_key IS NOT NULL").fetchall()
        assert keys == [("user:other",)]
    assert [each.is_full for each in points_of(repository)] == [True, False, False]


def test_the_role_of_backups_changes_nothing(server: dict[str, str]) -> None:
    for statement in ("DELETE FROM public.rows", "CREATE TABLE public.mine (n int)", "CREATE ROLE other"):
        with psycopg.connect(server["backup"]) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_a_server_whose_programs_are_missing_is_named() -> None:
    with pytest.raises(PermanentError, match=r"pg_basebackup of PostgreSQL 99 is not installed.*postgresql-99"):
        program("pg_basebackup", 99)


def test_an_unreachable_server_leaves_the_earlier_points(settings: Settings) -> None:
    before = len(points_of(open_repository(settings)))
    away = settings.model_copy(update={"dsn_backup": SecretStr("host=127.0.0.1 port=1 user=okr_backup dbname=okr")})
    with pytest.raises(RetryableError, match="did not accept a connection of role 'okr_backup'"):
        run(away, {"postgres", "wal", "lake"}, print)
    assert len(points_of(open_repository(settings))) == before
