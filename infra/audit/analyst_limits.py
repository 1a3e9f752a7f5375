"""The limits of analysts: their logins, the functions that they may call, and the guard that ends their sessions."""

from collections.abc import Iterator

from infra.analysts.logins import LOCAL_LOGIN, MAX_CONNECTIONS, Connection, logins
from infra.audit.finding import Finding
from infra.audit.installation import Installation
from infra.audit.postgres_rights import superuser, warehouse
from lakehouse.warehouse import read_sql

GUARD = "okr-guard"  # the application name of its connection


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each login without the expected limits, each function beyond them, and a missing guard.

    Raises:
        NotChecked: the superuser's address is not set.
    """
    with superuser(installation.settings) as connection:
        yield from _logins(connection)
    with superuser(installation.settings, warehouse(installation.settings)) as connection:
        connection.execute(read_sql("infra.analysts", "restricted_functions").encode())
        callable_ones = [str(row[0]) for row in connection.execute(read_sql("infra.audit", "analyst_limits").encode())]
    if callable_ones:
        named = ", ".join(callable_ones[:3]) + (f" and {len(callable_ones) - 3} more" if callable_ones[3:] else "")
        yield Finding(
            "group okr_analyst", "no right to call functions that could block or stop others", f"EXECUTE on {named}",
            "Run infra/analysts/analyst_rights.sql as the superuser (`okr up` does it in a local stack).",
        )  # fmt: skip


def _logins(connection: Connection) -> Iterator[Finding]:
    found = logins(connection)
    for login in found:
        subject = f"analyst {login.role}"
        if not login.was_added:
            yield Finding(
                subject, "a login that `okr analyst add` has created", "a member of okr_analyst without limits",
                f"Run REVOKE okr_analyst FROM {login.role}, or drop the role and create it with `okr analyst add`.",
            )  # fmt: skip
            continue
        if login.changed:
            yield Finding(
                subject, "its own password and settings", f"changed: {login.changed}",
                "The guard resets them; check that it is running.",
            )  # fmt: skip
        limit_applies = login.can_log_in and login.role != LOCAL_LOGIN
        if limit_applies and not 0 <= login.connections <= MAX_CONNECTIONS:
            yield Finding(
                subject, f"at most {MAX_CONNECTIONS} connections",
                "no limit" if login.connections < 0 else str(login.connections),
                f"Run ALTER ROLE {login.role} CONNECTION LIMIT {MAX_CONNECTIONS}.",
            )  # fmt: skip
    query = "SELECT FROM pg_stat_activity WHERE application_name = %s AND usename = current_user"
    if any(login.can_log_in for login in found) and connection.execute(query, (GUARD,)).fetchone() is None:
        yield Finding(
            "the guard of analysts' sessions", f"a connection named {GUARD}", "none",
            "Start `okr analyst guard` (service guard, or unit okr-guard).",
        )  # fmt: skip
