import psycopg
import pytest

from infra.local import unprivileged
from infra.migrations.migrate import migrate
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings


def test_migrating_twice_changes_nothing(postgres: Settings) -> None:
    def fail() -> None:
        raise AssertionError("no revision was outstanding")

    head = migrate(postgres.require("dsn_owner"))
    assert migrate(postgres.require("dsn_owner"), before=fail) == head


def test_the_analyst_reads_only_marts(postgres: Settings) -> None:
    with psycopg.connect(postgres.require("dsn_transform"), autocommit=True) as transform:
        transform.execute("CREATE TABLE marts.analyst_probe AS SELECT 1 AS n")
    try:
        with psycopg.connect(postgres.require("dsn_analyst"), autocommit=True) as analyst:
            assert analyst.execute("SELECT n FROM marts.analyst_probe").fetchone() == (1,)
            for table in (
                "raw.okr_user_events",
                "app.users",
                "ops.publication",
                "auth.account",
                "public.schema_version",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    analyst.execute(f"SELECT * FROM {table}")
            analyst.execute("SET default_transaction_read_only = off")
            for statement in (
                "INSERT INTO marts.analyst_probe VALUES (2)",
                "CREATE TABLE marts.mine (n int)",
                "CREATE TEMP TABLE mine (n int)",
                "CREATE SCHEMA mine",
                "COPY (SELECT 1) TO '/tmp/out'",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    analyst.execute(statement)
    finally:
        with psycopg.connect(postgres.require("dsn_transform"), autocommit=True) as transform:
            transform.execute("DROP TABLE marts.analyst_probe")


@pytest.mark.parametrize("database", ["airflow", "mlflow", "postgres"])
def test_the_analyst_cannot_connect_to_another_database(postgres: Settings, database: str) -> None:
    dsn = postgres.require("dsn_analyst").rpartition("/")[0]
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(f"{dsn}/{database}")


def test_a_wrong_password_is_rejected(postgres: Settings) -> None:
    place = postgres.require("dsn_owner").rpartition("@")[2]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://okr_owner:guess@{place}")


def test_the_server_uses_utc_and_durable_commits(postgres: Settings) -> None:
    with psycopg.connect(postgres.require("dsn_loader")) as connection:
        settings = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in ("timezone", "synchronous_commit", "fsync", "listen_addresses")
        }
    assert settings == {
        "timezone": "UTC", "synchronous_commit": "on", "fsync": "on", "listen_addresses": "127.0.0.1"
    }  # fmt: skip


def test_a_fresh_database_is_migrated_empty_and_separate(postgres: Settings, fresh_database: Settings) -> None:
    with psycopg.connect(fresh_database.require("dsn_loader")) as connection:
        connection.execute("INSERT INTO raw.load_watermark VALUES ('probe', 0, 1)")
    with psycopg.connect(postgres.require("dsn_loader")) as connection:
        assert connection.execute("SELECT count(*) FROM raw.load_watermark WHERE topic = 'probe'").fetchone() == (0,)


def test_a_user_id_without_a_name_is_reported_before_initdb_runs(monkeypatch):
    # docker-library/postgres issue 359: initdb "could not look up effective user ID" of a container's arbitrary user.
    monkeypatch.setattr("infra.local.unprivileged.os.geteuid", lambda: 54321)
    with pytest.raises(PermanentError, match=r"user id 54321 has no entry in /etc/passwd\. Add one"):
        unprivileged.require_user_name()


def test_sessions_of_dbt_have_limits_although_its_profile_sets_none(postgres: Settings) -> None:
    with psycopg.connect(postgres.require("dsn_transform")) as transform:
        limits = [transform.execute(f"SHOW {name}").fetchone() for name in ("statement_timeout", "lock_timeout")]
    assert limits == [("30min",), ("5min",)]
