"""Create, list, remove and reset the logins of analysts.

In PostgreSQL, any role can change its own password and default settings, and no privilege can prevent that. Therefore
the SCRAM verifier of the expected password is stored in okr_admin.analyst_login, which only the superuser can read, and
the expected settings are in SETTINGS. `reset_changed` restores both. All logins belong to one group;
analyst_rights.sql lists the files that define its rights.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.warehouse import connect, read_sql

GROUP = "okr_analyst"
LOCAL_LOGIN = "analyst"  # the login of the local stack; its password is in stack.env
DATABASE = "okr"
MAX_CONNECTIONS = 5
PASSWORD_BYTES = 24
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}")
# A role can change some of these settings itself, so the guard also enforces limits. Only a superuser can change
# temp_file_limit and most log_* settings.
SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "120s",
    "idle_in_transaction_session_timeout": "60s",
    "search_path": "marts",
    "temp_file_limit": "1GB",
    "log_min_messages": "fatal",  # do not log analysts' statements and errors, which are private
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
    "log_statement": "none",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
STATEMENT_LOGGING_OFF = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_min_error_statement": "panic",
}

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Login:
    """One member of the group. `changed` says what the role has changed (its password or settings), or is None."""

    role: str
    connections: int
    created_at: datetime | None
    sessions: int
    changed: str | None
    can_log_in: bool

    @property
    def was_added(self) -> bool:
        """Whether `add` created the login. A superuser may have granted the group to other roles."""
        return self.created_at is not None


def add(superuser_dsn: str, role: str, organisation_id: str | None = None) -> str:
    """Create a login, or give an existing one a new password; return the password, which is not stored.

    With an organisation, the login reads only its rows. Without one, a new login reads all rows, and an existing login
    keeps its restriction.

    Raises:
        PermanentError: the name is not allowed, or belongs to the local stack's own login or another kind of role.
    """
    if not NAME_PATTERN.fullmatch(role) or role.startswith("pg_"):
        raise PermanentError(
            "A login must start with a letter (but not with pg_) and have at most 40 lower-case letters, digits and "
            f"underscores; got {role!r}."
        )
    if role == LOCAL_LOGIN:
        raise PermanentError(f"{role!r} is the local stack's own login; `okr env` prints its address and password.")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with connect(superuser_dsn, application="okr-analyst") as connection:
        exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
        if exists and role not in _names_of_added_logins(connection):
            raise PermanentError(f"{role!r} is already a role of the platform; choose another name for the analyst.")
        if organisation_id is not None:
            _restrict(superuser_dsn, role, organisation_id)  # before the login can be used
        set_up(connection, role, password)
    return password


def organisations(superuser_dsn: str) -> dict[str, str]:
    """Return, by login, the organisation to whose rows the login is restricted. Unrestricted logins are left out."""
    with _warehouse(superuser_dsn) as warehouse:
        if not _has_restrictions(warehouse):
            return {}
        rows = warehouse.execute("SELECT login, organisation_id FROM publishing.analyst_organisation").fetchall()
    return {str(login): str(organisation_id) for login, organisation_id in rows}


def _restrict(superuser_dsn: str, role: str, organisation_id: str) -> None:
    with _warehouse(superuser_dsn) as warehouse:
        values = {"login": role, "organisation_id": organisation_id}
        warehouse.execute(read_sql("infra.analysts", "restrict_login_to_organisation").encode(), values)


def _end_restriction(superuser_dsn: str, role: str) -> None:
    with _warehouse(superuser_dsn) as warehouse:
        if _has_restrictions(warehouse):
            warehouse.execute("DELETE FROM publishing.analyst_organisation WHERE login = %s", (role,))


def _has_restrictions(warehouse: Connection) -> bool:
    """Return whether the warehouse has been migrated to revision 0048."""
    return warehouse.execute("SELECT to_regclass('publishing.analyst_organisation')").fetchone() != (None,)


def _warehouse(superuser_dsn: str) -> Connection:
    return connect(make_conninfo(superuser_dsn, dbname=DATABASE), application="okr-analyst")


def remove(superuser_dsn: str, role: str) -> None:
    """End the sessions of a login and drop it. After an interruption, this can be called again.

    Raises:
        PermanentError: there is no such analyst, or the login is the local stack's own.
        RetryableError: the analyst can no longer log in, but the role has not been dropped yet.
    """
    if role == LOCAL_LOGIN:
        raise PermanentError(f"{role!r} is the local stack's own login, which the next start would recreate.")
    with connect(superuser_dsn, application="okr-analyst") as connection:
        existing = _names_of_added_logins(connection)
        if role not in existing:
            raise PermanentError(f"There is no analyst {role!r}. Existing analysts: {', '.join(existing)}.")
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(role)))
        connection.commit()  # prevents new sessions
        try:
            _drop(connection, superuser_dsn, role)
        except psycopg.Error as error:
            cause = " ".join(str(error).split())
            raise RetryableError(
                f"{role} can no longer log in, but the role has not been dropped yet: {cause}. Once that is fixed, run "
                f"`okr analyst remove {role}` again."
            ) from error
    _end_restriction(superuser_dsn, role)  # only once the login is gone


def _drop(connection: Connection, superuser_dsn: str, role: str) -> None:
    name = sql.Identifier(role)
    connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (role,))
    # The role can own only default privileges that it has set itself.
    with _warehouse(superuser_dsn) as warehouse:
        warehouse.execute(sql.SQL("DROP OWNED BY {}").format(name))
    connection.execute(sql.SQL("DROP ROLE {}").format(name))
    connection.execute("DELETE FROM okr_admin.analyst_login WHERE role = %s", (role,))


def _names_of_added_logins(connection: Connection) -> list[str]:
    return [login.role for login in logins(connection) if login.was_added]


def logins(connection: Connection) -> list[Login]:
    """Return all members of the analysts' group, sorted by name, including partly removed logins and unknown roles."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(read_sql("infra.analysts", "logins")).fetchall()
    return [
        Login(
            row["role"], row["connections"], row["created_at"], row["sessions"],
            _describe_changes(row) if row["created_at"] else None, row["can_log_in"],
        )
        for row in rows
    ]  # fmt: skip


def set_up(connection: Connection, role: str, password: str, connections: int = MAX_CONNECTIONS) -> None:
    """Create a login, or reset it to the expected state. The server sees only the SCRAM verifier of the password."""
    name = sql.Identifier(role)
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {}").format(name))
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    attributes = "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT {}"
    connection.execute(sql.SQL(attributes).format(name, sql.Literal(connections)))
    membership = sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET FALSE, ADMIN FALSE")
    connection.execute(membership.format(sql.Identifier(GROUP), name))
    _set_password_and_settings(connection, role, verifier)
    connection.execute(read_sql("infra.analysts", "record_verifier"), {"role": role})


def reset_changed(connection: Connection) -> list[Login]:
    """Reset logins that analysts have changed, and return them as they were before the reset."""
    changed = [login for login in logins(connection) if login.changed]
    for login in changed:
        expected = connection.execute(
            "SELECT verifier FROM okr_admin.analyst_login WHERE role = %s", (login.role,)
        ).fetchone()
        if expected:
            _set_password_and_settings(connection, login.role, str(expected[0]))
    return changed


def _set_password_and_settings(connection: Connection, role: str, verifier: str) -> None:
    """Set the password and the expected settings, and remove all other settings."""
    name = sql.Identifier(role)
    with connection.transaction():
        # The server must not log this statement, because the verifier can be used to test passwords offline.
        for setting, value in STATEMENT_LOGGING_OFF.items():
            connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(setting), sql.Literal(value)))
        _alter(connection, sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(verifier)))
        for setting in STATEMENT_LOGGING_OFF:
            connection.execute(sql.SQL("SET LOCAL {} = DEFAULT").format(sql.Identifier(setting)))
    for (database,) in connection.execute(
        "SELECT datname FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase WHERE setrole = %s::regrole",
        (_quoted(role),),
    ).fetchall():
        reset = sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL")
        _alter(connection, reset.format(name, sql.Identifier(str(database))))
    _alter(connection, sql.SQL("ALTER ROLE {} RESET ALL").format(name))
    for setting, value in SETTINGS.items():
        change = sql.SQL("ALTER ROLE {} SET {} = {}")
        _alter(connection, change.format(name, sql.Identifier(setting), sql.Literal(value)))


def _alter(connection: Connection, statement: sql.Composed) -> None:
    connection.execute(statement)


def _quoted(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def _describe_changes(row: dict[str, Any]) -> str | None:
    expected = {f"{name}={value}" for name, value in SETTINGS.items()}
    actual = set(row["settings"] or ())
    names: Iterable[str] = sorted({setting.partition("=")[0] for setting in actual ^ expected})
    parts = [
        "the password" if row["is_password_changed"] else "",
        f"the settings {', '.join(names)}" if actual != expected else "",
        f"settings in {', '.join(row['databases_with_settings'])}" if row["databases_with_settings"] else "",
    ]
    return " and ".join(filter(None, parts)) or None
