"""Each fault of PostgreSQL, Redis and the accounts is found while it is there, and not before and after."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis
from pydantic import SecretStr

from infra.analysts.logins import add, remove
from infra.audit import accounts, analyst_limits, postgres_rights, postgres_server, redis_users
from infra.audit.analyst_limits import GUARD
from infra.audit.checks import CHECKS, run
from infra.audit.finding import NotChecked
from infra.audit.installation import Installation
from infra.local.postgres import Postgres
from infra.local.stack import Stack
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.databases import execute_as_superuser
from tests.ops.audit.test_host import found_by
from tests.polling import until

Superuser = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def installation(fresh_database: Settings) -> Installation:
    return Installation(fresh_database)


@pytest.fixture
def superuser(fresh_database: Settings) -> Iterator[Superuser]:
    """A superuser in the warehouse of the test."""
    warehouse = fresh_database.require("dsn_owner").rpartition("/")[2]
    dsn = fresh_database.require("pg_superuser_dsn").rpartition("/")[0] + f"/{warehouse}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


# Each fault, the statement that ends it, and parts of the finding.
ROLES = {
    "superuser": ("CREATE ROLE boss SUPERUSER", "DROP ROLE boss", "role boss: expected", "ALTER ROLE boss NOSUPERUSER"),
    "login without a group": ("CREATE ROLE eve LOGIN", "DROP ROLE eve", "role eve: expected", "found LOGIN. If nobody"),
    "right to create roles": (
        "ALTER ROLE okr_serving CREATEROLE", "ALTER ROLE okr_serving NOCREATEROLE", "role okr_serving:", "CREATEROLE",
    ),
    "right to bypass row-level security": (
        "ALTER ROLE okr_organisation BYPASSRLS", "ALTER ROLE okr_organisation NOBYPASSRLS", "okr_organisation", "RLS",
    ),
    "membership": (
        "GRANT okr_transform TO okr_serving", "REVOKE okr_transform FROM okr_serving",
        "member okr_transform of role okr_serving:", "Run REVOKE okr_transform FROM okr_serving.",
    ),
    "membership in a role of PostgreSQL": (
        "GRANT pg_read_all_data TO okr_analyst", "REVOKE pg_read_all_data FROM okr_analyst",
        "member pg_read_all_data of role okr_analyst", "REVOKE pg_read_all_data",
    ),
}  # fmt: skip
GRANTS = {
    "table": (
        "GRANT DELETE, UPDATE ON auth.audit_event TO okr_serving", "table auth.audit_event of role okr_serving:",
        "found DELETE, UPDATE. Run REVOKE DELETE, UPDATE ON TABLE auth.audit_event FROM okr_serving.",
    ),
    "table to PUBLIC": ("GRANT SELECT ON auth.account TO PUBLIC", "table auth.account of role PUBLIC", "found SELECT"),
    "column": (
        "GRANT SELECT (password_hash) ON auth.account TO okr_organisation", "column auth.account (password_hash) of",
        "Run REVOKE SELECT (password_hash) ON TABLE auth.account FROM okr_organisation.",
    ),
    "schema": ("GRANT USAGE ON SCHEMA raw TO okr_analyst", "schema raw of role okr_analyst", "found USAGE"),
    "schema to PUBLIC": ("GRANT CREATE ON SCHEMA public TO PUBLIC", "schema public of role PUBLIC", "found CREATE"),
    "catalogue": ("GRANT SELECT ON pg_catalog.pg_authid TO okr_analyst", "pg_catalog.pg_authid of role okr", "SELECT"),
    "function": (
        "CREATE FUNCTION ops.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION ops.f() OWNER TO okr_owner",
        "function ops.f() of role PUBLIC", "EXECUTE",
    ),
    "language": ("GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC", "language plpgsql of role PUBLIC", "found USAGE"),
    "default privileges": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE okr_owner IN SCHEMA raw GRANT SELECT ON TABLES TO okr_analyst",
        "new tables raw of okr_owner of role okr_analyst", "IN SCHEMA raw REVOKE SELECT ON TABLES FROM okr_analyst.",
    ),
    "published view": ("GRANT INSERT ON marts.publication TO okr_analyst", "marts.publication of role okr", "INSERT"),
    "owner of a schema": (
        "ALTER SCHEMA staging OWNER TO okr_loader", "owner schema staging of role okr_loader", "Run ALTER SCHEMA",
    ),
    "object of a superuser": (
        "CREATE SEQUENCE ops.numbers", "owner sequence ops.numbers of role the first superuser", "found OWNER",
    ),
    "owner of a table": (
        "ALTER TABLE ops.pruned_range OWNER TO okr_transform", "owner table ops.pruned_range of role okr_transform",
        "Run ALTER TABLE ops.pruned_range OWNER TO the role that documented_rights.txt names for it or its schema.",
    ),
    "function of PostgreSQL": (
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO okr_analyst", "function pg_catalog.pg_read_file(",
        "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_read_file(",
    ),
    "function of PostgreSQL to PUBLIC": (
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO PUBLIC", "pg_ls_dir(text) of role PUBLIC", "EXECUTE",
    ),
    "function of PostgreSQL to the services": (
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_waldir() TO okr_service", "pg_ls_waldir(", "FROM okr_service",
    ),
    "catalogue to PUBLIC": (
        "GRANT UPDATE ON pg_catalog.pg_class TO PUBLIC", "table pg_catalog.pg_class of role PUBLIC", "found UPDATE",
    ),
    "column of the catalogue to PUBLIC": (
        "GRANT SELECT (subconninfo) ON pg_catalog.pg_subscription TO PUBLIC", "pg_subscription (subconninfo)", "SELECT",
    ),
    "build": ("GRANT USAGE ON SCHEMA marts_build TO okr_analyst", "schema marts_build of role okr_analyst", "USAGE"),
}  # fmt: skip


def rights(installation: Installation) -> list[str]:
    """The findings, without those on the databases of tests."""
    return [line for line in found_by(postgres_rights.check, installation) if not line.startswith("database okr_")]


def test_roles_beyond_the_documented_ones_are_found(installation: Installation, superuser: Superuser) -> None:
    assert rights(installation) == []
    for fault, _, _, _ in ROLES.values():
        superuser.execute(fault.encode())
    try:
        found = rights(installation)
    finally:
        for _, end, _, _ in ROLES.values():
            superuser.execute(end.encode())
    check_cases(found, {case: (subject, text) for case, (_, _, subject, text) in ROLES.items()})
    assert rights(installation) == []


def test_privileges_beyond_the_documented_ones_are_found(installation: Installation, superuser: Superuser) -> None:
    assert rights(installation) == []
    for fault, _, _ in GRANTS.values():
        superuser.execute(fault.encode())
    check_cases(rights(installation), {case: (subject, text) for case, (_, subject, text) in GRANTS.items()})


def check_cases(found: list[str], cases: dict[str, tuple[str, str]]) -> None:
    """Check that each case has exactly one finding, and that there are no others."""
    assert len(found) == len(cases), found
    for case, (subject, text) in cases.items():
        assert [subject in line and text in line for line in found].count(True) == 1, (case, found)


def test_public_may_not_connect_to_databases(installation: Installation, test_stack: Stack) -> None:
    execute_as_superuser(test_stack, "CREATE DATABASE guests")
    try:
        [line] = [line for line in rights(installation) if line.startswith("database guests")]
    finally:
        execute_as_superuser(test_stack, "DROP DATABASE guests")
    assert "found CONNECT, TEMPORARY. Run REVOKE CONNECT, TEMPORARY ON DATABASE guests FROM PUBLIC." in line


def test_an_analyst_beyond_the_limits_is_found(installation: Installation, superuser: Superuser) -> None:
    dsn = installation.settings.require("pg_superuser_dsn")
    with closing(connect(dsn, application=GUARD)):
        assert found_by(analyst_limits.check, installation) == []
        add(dsn, "ada")
        assert found_by(analyst_limits.check, installation) == []
        superuser.execute("ALTER ROLE ada CONNECTION LIMIT 50")
        superuser.execute("ALTER ROLE ada SET statement_timeout = 0")
        superuser.execute("CREATE ROLE bob")
        superuser.execute("GRANT okr_analyst TO bob")
        superuser.execute("GRANT EXECUTE ON FUNCTION pg_sleep(double precision) TO PUBLIC")
        lines = found_by(analyst_limits.check, installation)
        superuser.execute("DROP ROLE bob")
    expected = ["changed: the settings statement_timeout", "at most 5 connections, found 50", "analyst bob: expected a",
                "EXECUTE on pg_sleep(double precision)"]  # fmt: skip
    assert [part in line for part, line in zip(expected, lines, strict=True)] == [True] * 4
    superuser.execute("REVOKE EXECUTE ON FUNCTION pg_sleep(double precision) FROM PUBLIC")
    superuser.execute("ALTER ROLE ada CONNECTION LIMIT 5")
    superuser.execute("ALTER ROLE ada RESET ALL")
    lines = found_by(analyst_limits.check, installation)
    assert "the guard of analysts' sessions: expected a connection named okr-guard, found none" in lines[-1]
    remove(dsn, "ada")


@pytest.mark.parametrize("name", ["debug_print_plan", "log_min_messages"])
def test_a_setting_of_postgresql_for_debugging_is_found(
    installation: Installation, superuser: Superuser, name: str
) -> None:
    assert found_by(postgres_server.check, installation) == []
    value = {"debug_print_plan": "on", "log_min_messages": "debug2"}[name]
    superuser.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
    superuser.execute("SELECT pg_reload_conf()")
    try:
        lines = until(lambda: found_by(postgres_server.check, installation), "the setting applies")
    finally:
        superuser.execute(f"ALTER SYSTEM RESET {name}".encode())
        superuser.execute("SELECT pg_reload_conf()")
    assert [f"PostgreSQL's {name}: expected" in line and f"found {value}" in line for line in lines] == [True]
    until(lambda: not found_by(postgres_server.check, installation), "the setting no longer applies")


def test_a_login_without_a_password_is_found(installation: Installation, superuser: Superuser) -> None:
    superuser.execute("CREATE ROLE old LOGIN")
    [line] = found_by(postgres_server.check, installation)
    superuser.execute("DROP ROLE old")
    assert line.startswith("login old: expected a password that is stored as SCRAM-SHA-256, found no password.")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("host all all 10.0.0.0/8 scram-sha-256", "expected hostssl, because other hosts can connect, found host"),
        ("host all eve 127.0.0.1/32 trust", "expected authentication with scram-sha-256 or cert, found trust"),
        ("host all eve 127.0.0.1/32 md5", "found md5 for 127.0.0.1"),
    ],
)
def test_an_unsafe_rule_of_pg_hba_is_found(installation: Installation, test_stack: Stack, rule: str, text: str) -> None:
    file: Path = Postgres(test_stack).data / "pg_hba.conf"  # the server shows its rules even before a reload
    before = file.read_text()
    assert found_by(postgres_server.check, installation) == []
    file.write_text(f"{before}{rule}\n")
    try:
        [line] = found_by(postgres_server.check, installation)
    finally:
        file.write_text(before)
    assert text in line


@pytest.mark.parametrize(
    ("kind", "address", "method", "count"),
    [
        ("hostssl", "10.0.0.0", "scram-sha-256", 0),
        ("hostssl", "10.0.0.0", "cert", 0),
        ("host", "all", "reject", 0),
        ("host", "::1", "scram-sha-256", 0),
        ("hostssl", "all", "password", 1),
        ("hostnossl", "all", "trust", 2),
    ],
)
def test_rules_of_pg_hba_are_safe_with_tls_and_scram(kind: str, address: str, method: str, count: int) -> None:
    assert len([*postgres_server.rule_findings("line 1", kind, address, method)]) == count


def test_one_time_passwords_and_keys_without_expiry_are_found(installation: Installation, superuser: Superuser) -> None:
    account = "INSERT INTO auth.account (username, password_hash, role, password_expires_at, disabled_at) VALUES "
    columns = "prefix, username, name, secret_hash, scopes, created_by, expires_at, revoked_at"
    key = f"INSERT INTO auth.api_key ({columns}) VALUES "
    superuser.execute(f"{account} ('anna', 'x', 'viewer', NULL, NULL), ('carl', 'x', 'viewer', now(), now())".encode())
    superuser.execute(f"{key} ('k1', 'anna', 'n', 'x', '{{}}', 'o', now(), NULL)".encode())
    superuser.execute(f"{key} ('k2', 'anna', 'n', 'x', '{{}}', 'o', NULL, now())".encode())
    assert found_by(accounts.check, installation) == []
    superuser.execute(f"{account} ('bert', 'x', 'viewer', now(), NULL)".encode())
    superuser.execute(f"{key} ('k3', 'anna', 'n', 'x', '{{}}', 'o', NULL, NULL)".encode())
    lines = found_by(accounts.check, installation)
    assert [line.partition(":")[0] for line in lines] == ["API key k3 of anna", "account bert"]


@pytest.mark.parametrize(
    ("fault", "end", "text"),
    [
        ("ACL SETUSER eve on >x ~* +get", "ACL DELUSER eve", "Redis user eve: expected only"),
        ("ACL SETUSER default on nopass", "ACL SETUSER default off resetpass", "user default: expected to be off"),
        (
            "ACL SETUSER okr_state +flushall ~*",
            "",
            "Redis user okr_state: expected the documented rights, found also ~* flushall.",
        ),
        ("ACL SETUSER okr_serving nopass", "", "Redis user okr_serving: expected a password, found none"),
        ("CONFIG SET loglevel debug", "CONFIG SET loglevel notice", "Redis's loglevel: expected notice or warning"),
    ],
)
def test_a_fault_in_redis_is_found(
    redis_server: Settings, redis_admin: redis.Redis, fault: str, end: str, text: str
) -> None:
    installation = Installation(redis_server)
    assert found_by(redis_users.check, installation) == []
    saved = {line.split(" ")[1]: line.split(" ")[2:] for line in redis_admin.acl_list()}
    redis_admin.execute_command(*fault.split(" "))
    try:
        [line] = found_by(redis_users.check, installation)
    finally:
        if end:
            redis_admin.execute_command(*end.split(" "))
        else:
            user = fault.split(" ")[2]
            redis_admin.execute_command("ACL", "SETUSER", user, "reset", *saved[user])
    assert text in line
    assert found_by(redis_users.check, installation) == []


def test_what_is_not_configured_is_not_checked_and_a_server_that_is_down_is_a_finding() -> None:
    nothing = Installation(Settings())
    results = {name: run(name, nothing) for name in CHECKS}
    unchecked = {name for name, result in results.items() if result.not_checked}
    assert {"postgres-rights", "postgres-server", "analysts", "redis", "kafka", "accounts", "connections"} <= unchecked
    down = SecretStr("postgresql://postgres@127.0.0.1:1/postgres")
    [finding] = run("postgres-server", Installation(Settings(pg_superuser_dsn=down))).findings
    assert "the check postgres-server: expected to be completed, found RetryableError" in str(finding)
    with pytest.raises(NotChecked):
        found_by(postgres_rights.check, nothing)
