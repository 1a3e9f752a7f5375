"""The login of the API for one organisation reads only its rows of the marts, through publications and rollbacks."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from infra.analysts import logins
from infra.local.stack import Stack
from infra.migrations.migrate import migrate
from infra.migrations.revert import revert
from infra.migrations.revisions import scripts
from lakehouse.publishing import publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.databases import NewDatabase, database_from
from tests.lakehouse.marts import Connection, load_one_event, publish, publish_with

ROWS = "SELECT organisation_id FROM marts.one ORDER BY 1"
TWO_ORGANISATIONS = (
    "DROP TABLE marts_build.one",
    "CREATE TABLE marts_build.one AS SELECT 1 AS value, organisation_id "
    "FROM unnest(ARRAY['a', 'b', NULL]) AS organisation_id",
)
LIFTING = (
    "SELECT * FROM marts_store.one",
    "SELECT * FROM marts_v1.one",
    "SELECT * FROM ops.publication",
    "SELECT * FROM app.event",
    "SELECT password_hash FROM auth.account",
    "SELECT secret_hash FROM auth.api_key",
    "INSERT INTO publishing.analyst_organisation VALUES ('okr_organisation', 'b')",
    "ALTER TABLE marts_store.one NO FORCE ROW LEVEL SECURITY",
    "DROP POLICY organisation ON marts_store.one",
    "SELECT publishing.restrict_readers('marts.one')",
    "SET ROLE okr_serving",
    "SET ROLE okr_transform",
    "SET SESSION AUTHORIZATION okr_serving",
    "ALTER ROLE okr_organisation BYPASSRLS",
    "UPDATE auth.account SET organisation_id = 'b'",
)


@pytest.fixture(scope="module")
def published(new_database: NewDatabase) -> Iterator[Settings]:
    """A mart with a row of each of two organisations, and one that belongs to neither."""
    with new_database() as settings:
        load_one_event(settings)
        publish_with(settings, 1, *TWO_ORGANISATIONS)
        yield settings


@contextmanager
def reading(settings: Settings, organisation_id: str | None) -> Iterator[Connection]:
    """Yield a connection of the API for callers of an organisation."""
    with connect(settings.require("dsn_organisation")) as connection:
        if organisation_id is not None:
            connection.execute("SELECT set_config('okr.organisation_id', %s, true)", (organisation_id,))
        yield connection


def seen(settings: Settings, organisation_id: str | None, query: str = ROWS) -> list[object]:
    with reading(settings, organisation_id) as connection:
        return [value for (value,) in connection.execute(query.encode()).fetchall()]


def test_a_query_without_any_condition_finds_only_rows_of_the_callers_organisation(published: Settings) -> None:
    assert seen(published, "a") == ["a"]
    assert seen(published, "b") == ["b"]
    assert seen(published, "unknown") == []


def test_without_an_organisation_there_are_no_rows(published: Settings) -> None:
    assert seen(published, None) == []
    assert seen(published, "") == []
    with reading(published, "a") as connection:
        assert connection.execute(ROWS.encode()).fetchall() == [("a",)]
        connection.commit()
        assert connection.execute(ROWS.encode()).fetchall() == [], "the setting ends with its transaction"


def test_a_mart_without_organisations_has_no_rows_for_an_organisation(published: Settings) -> None:
    assert seen(published, "a", "SELECT value FROM marts.two") == []
    with reading(published, "a") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT value FROM ml.features")


def test_everybody_else_reads_all_rows(published: Settings) -> None:
    for login in ("dsn_analyst", "dsn_serving", "dsn_transform"):
        with connect(published.require(login)) as connection:
            connection.execute("SET okr.organisation_id = 'a'")
            assert connection.execute(ROWS.encode()).fetchall() == [("a",), ("b",), (None,)]
            assert connection.execute("SELECT value FROM marts.two").fetchall() == [(1,)]


def test_rows_stay_restricted_after_publications_changed_columns_and_a_rollback(warehouse: Settings) -> None:
    publish_with(warehouse, 1, *TWO_ORGANISATIONS)
    assert seen(warehouse, "a") == ["a"]
    publish_with(warehouse, 2, *TWO_ORGANISATIONS, "ALTER TABLE marts_build.one ADD COLUMN more text")
    assert seen(warehouse, "a", "SELECT organisation_id || coalesce(more, '') FROM marts.one") == ["a"]
    publication.rollback(warehouse.require("dsn_transform"))
    assert seen(warehouse, "a") == ["a"]
    publication.resume(warehouse.require("dsn_transform"))
    publish(warehouse, 3)  # without the column
    assert seen(warehouse, "a", "SELECT value FROM marts.one") == []
    publish_with(warehouse, 4, *TWO_ORGANISATIONS)
    assert seen(warehouse, "b") == ["b"]
    assert seen(warehouse, None) == []


def test_a_prepared_statement_follows_the_setting_of_its_transaction(published: Settings) -> None:
    with connect(published.require("dsn_organisation")) as connection:
        for organisation_id in ("a", "b", "a"):
            connection.execute("SELECT set_config('okr.organisation_id', %s, true)", (organisation_id,))
            assert connection.execute(ROWS.encode(), prepare=True).fetchall() == [(organisation_id,)]
            connection.commit()
        assert connection.execute(ROWS.encode(), prepare=True).fetchall() == []


def test_the_login_cannot_lift_its_restriction(published: Settings) -> None:
    with reading(published, None) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.commit()
        connection.execute("SELECT set_config('okr.organisation_id', 'a', true)")
        for statement in LIFTING:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement.encode())
        assert connection.execute(ROWS.encode()).fetchall() == [("a",)]


def test_the_login_owns_nothing_and_cannot_bypass_policies(published: Settings) -> None:
    with connect(published.require("dsn_owner")) as connection:
        found = connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, (SELECT count(*) FROM pg_shdepend WHERE refobjid = r.oid "
            "AND deptype = 'o'), "
            "ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = r.oid ORDER BY 1) "
            "FROM pg_roles AS r WHERE rolname = 'okr_organisation'"
        ).fetchone()
        unforced = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relnamespace::regnamespace::text ~ '_store$' "
            "AND relkind = 'p' AND NOT (relrowsecurity AND relforcerowsecurity)"
        ).fetchall()
    assert found == (False, False, False, 0, ["okr_service", "pg_use_reserved_connections"])
    assert unforced == []


def test_a_hostile_function_in_a_condition_sees_no_row_of_another_organisation(published: Settings) -> None:
    """Conditions that could disclose a row are evaluated only for rows that the policy allows."""
    divides = "SELECT organisation_id FROM marts.one WHERE 1 / (CASE organisation_id WHEN 'a' THEN 1 ELSE 0 END) = 1"
    assert seen(published, "a", divides) == ["a"]
    with pytest.raises(psycopg.errors.DivisionByZero):
        seen(published, "b", divides)


def test_an_analyst_of_an_organisation_reads_only_its_rows(
    test_stack: Stack, published: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = test_stack.env["OKR_PG_SUPERUSER_DSN"]
    address, _, database = published.require("dsn_analyst").partition("@")[2].rpartition("/")
    monkeypatch.setattr(logins, "DATABASE", database)
    passwords = {"ada": logins.add(dsn, "ada", "a")}
    try:
        passwords["ada"] = logins.add(dsn, "ada")
        assert logins.organisations(dsn) == {"ada": "a"}, "a new password does not lift the restriction"
        with connect(f"postgresql://ada:{passwords['ada']}@{address}/{database}") as connection:
            connection.execute("SET default_transaction_read_only = off; SET okr.organisation_id = 'b'")
            assert connection.execute(ROWS.encode()).fetchall() == [("a",)]
            assert connection.execute("SELECT value FROM marts.two").fetchall() == []
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM publishing.analyst_organisation")
    finally:
        logins.remove(dsn, "ada")
    assert logins.organisations(dsn) == {}


def test_the_migration_restricts_what_is_published_and_can_be_reverted(test_stack: Stack, postgres: Settings) -> None:
    before = str(scripts().get_revision("0048").down_revision)
    with database_from("template0", test_stack, postgres) as settings:
        migrate(settings.require("dsn_owner"), to=before)
        load_one_event(settings)
        publish_with(settings, 1, *TWO_ORGANISATIONS)
        with connect(settings.require("dsn_owner")) as owner:
            owner.execute("INSERT INTO auth.account (username, password_hash, role, organisation_id) "
                          "VALUES ('ada', '', 'member', 'a')")  # fmt: skip
            owner.execute("INSERT INTO serving.write_request (username, operation, body) VALUES ('ada', 'PUT', '{}')")
        migrate(settings.require("dsn_owner"), to="0048")
        assert seen(settings, "a") == ["a"]
        assert seen(settings, "a", "SELECT organisation_id FROM serving.write_request") == ["a"]
        assert seen(settings, "b", "SELECT organisation_id FROM serving.write_request") == []
        revert(settings.require("dsn_owner"), to=before)
        with connect(settings.require("dsn_analyst")) as analyst:
            assert analyst.execute(ROWS.encode()).fetchall() == [("a",), ("b",), (None,)]
        with reading(settings, "a") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(ROWS.encode())
        migrate(settings.require("dsn_owner"))
        assert seen(settings, "b") == ["b"]
