"""How PostgreSQL authenticates clients, encrypts connections, and what it logs."""

import ipaddress
from collections.abc import Iterator, Mapping

from infra.audit.finding import Finding
from infra.audit.installation import Installation
from infra.audit.listening_ports import is_loopback
from infra.audit.postgres_rights import superuser
from lakehouse.warehouse import read_sql

SAFE_METHODS = frozenset({"scram-sha-256", "cert", "reject", "gss"})
SAFE_METHODS_OF_THE_SOCKET = SAFE_METHODS | {"peer"}
# Statements contain passwords and personal data.
EXPECTED = {
    "password_encryption": "scram-sha-256",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
    "row_security": "on",
}
RELOAD = "Set it in postgresql.conf and reload the server."


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each unsafe rule, login and setting.

    Raises:
        NotChecked: the superuser's address is not set.
    """
    with superuser(installation.settings) as connection:
        rows = connection.execute(read_sql("infra.audit", "postgres_server").encode()).fetchall()
        names_and_values = connection.execute("SELECT name, setting FROM pg_settings").fetchall()
    settings = {str(name): str(value) for name, value in names_and_values}
    for kind, name, detail, address, method in (map(str, row) for row in rows):
        if kind == "login":
            yield Finding(
                f"login {name}", "a password that is stored as SCRAM-SHA-256", detail,
                f"Run ALTER ROLE {name} NOLOGIN, or give it a password with \\password {name} in psql.",
            )  # fmt: skip
        elif kind == "setting":
            # `detail` is the setting's name and `address` its value for this database or role.
            if address != EXPECTED.get(detail, address):
                yield Finding(name, EXPECTED[detail], address, "Run ALTER ROLE or ALTER DATABASE ... RESET.")
        else:
            yield from rule_findings(name, detail, address, method)
    yield from _settings(settings)


def rule_findings(name: str, kind: str, address: str, method: str) -> Iterator[Finding]:
    """Yield what is unsafe about a rule of pg_hba.conf: its type (local, host, hostssl ...), addresses and method."""
    if kind == "local":
        if method not in SAFE_METHODS_OF_THE_SOCKET:
            yield Finding(
                name, "authentication with peer, scram-sha-256 or cert", f"{method} for {address}",
                "Change it in pg_hba.conf and reload the server.",
            )  # fmt: skip
        return
    if method not in SAFE_METHODS:
        yield Finding(
            name, "authentication with scram-sha-256 or cert", f"{method} for {address}",
            "Change it in pg_hba.conf and reload the server.",
        )  # fmt: skip
    if kind != "hostssl" and method != "reject" and not _is_loopback_rule(address):
        yield Finding(
            name, "hostssl, because other hosts can connect", f"{kind} for {address}",
            "Change it in pg_hba.conf and reload the server.",
        )  # fmt: skip


def _is_loopback_rule(address: str) -> bool:
    try:
        return is_loopback(ipaddress.ip_address(address))
    except ValueError:
        return address == "localhost"


def _settings(settings: Mapping[str, str]) -> Iterator[Finding]:
    for name, expected in EXPECTED.items():
        if (found := settings.get(name, expected)) != expected:
            yield Finding(f"PostgreSQL's {name}", expected, found, RELOAD)
    hosts = [part.strip() for part in settings["listen_addresses"].split(",") if part.strip()]
    if settings["ssl"] != "on" and not all(_is_loopback_rule(host) for host in hosts):
        yield Finding("PostgreSQL's ssl", "on, because it listens beyond loopback", settings["ssl"], RELOAD)
    if settings["log_min_messages"].startswith("debug"):
        yield Finding("PostgreSQL's log_min_messages", "warning", settings["log_min_messages"], RELOAD)
