"""Roles and privileges in PostgreSQL, compared with the documented ones in documented_rights.txt.

The file has one line for each object and role, and is written from a warehouse that infra/local/postgres_bootstrap.sql
and the migrations have made: `okr installation rights > infra/audit/documented_rights.txt`. A test compares both.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from infra.analysts.logins import DATABASE, Connection, logins
from infra.audit.finding import Finding, NotChecked
from infra.audit.installation import Installation
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, parts_of, read_sql

DOCUMENTED = Path(__file__).with_name("documented_rights.txt")
HEADER = """\
# The documented rights in PostgreSQL: object: role: privileges. Owners have all privileges on what they own.
# Written by `okr installation rights` from a new warehouse. `okr installation audit` reports what is beyond it.
"""
# Publications create the tables and views of these schemas. Each gets the privileges of new tables of its schema.
PUBLISHED = ("marts", "ml")
PUBLISHER = "okr_transform"


@dataclass(frozen=True, order=True)
class Right:
    """One privilege. `kind` is role, member, database, schema, table, column, sequence, function, language or new ...

    Of an attribute of a role, `name` is the role and `role` is empty; of a membership, `name` is the group. Of the kind
    owner, `name` is an object with its kind; objects that the owner of their schema owns are left out.
    """

    kind: str
    name: str
    role: str
    privilege: str


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each right that is not documented. Analysts' logins are documented by their group.

    Raises:
        NotChecked: the superuser's address is not set.
    """
    documented = read_rights(DOCUMENTED.read_text(encoding="utf-8"))
    with superuser(installation.settings) as connection:
        analysts = {login.role for login in logins(connection)}
        cluster = _rights(connection, "cluster_rights")
    with superuser(installation.settings, warehouse(installation.settings)) as connection:
        found = cluster | _rights_in_warehouse(connection)
    beyond = {right for right in found - documented - _of_analysts(analysts) if not _is_default(right, documented)}
    for subject, privileges in sorted(_grouped(beyond).items()):
        kind, name, role = subject
        yield Finding(
            f"{kind} {name}" + (f" of role {role}" if role else ""), "no right beyond the documented ones",
            ", ".join(sorted(privileges)),
            _owner_action(name) if kind == "owner" else _action(kind, name, role, sorted(privileges)),
        )  # fmt: skip


def rights_text(settings: Settings) -> str:
    """Return all rights of an installation in the format of the file, without those of analysts' logins."""
    with superuser(settings) as connection:
        analysts = {login.role for login in logins(connection)}
        cluster = _rights(connection, "cluster_rights")
    with superuser(settings, warehouse(settings)) as connection:
        found = cluster | _rights_in_warehouse(connection)
    return write_rights(found - _of_analysts(analysts))


def write_rights(rights: Iterable[Right]) -> str:
    """Return rights as text, sorted, without those on published tables, which follow from the ones on new tables."""
    kept = {right for right in rights if not (right.kind == "table" and _schema(right) in PUBLISHED)}
    lines = [
        f"{kind} {name}: {role or '-'}: {' '.join(sorted(privileges))}"
        for (kind, name, role), privileges in sorted(_grouped(kept).items())
    ]
    return HEADER + "".join(f"{line}\n" for line in lines)


def read_rights(text: str) -> frozenset[Right]:
    """Return the rights of a text that `write_rights` has written."""
    rights = set()
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        subject, role, privileges = line.rsplit(": ", 2)
        words = subject.split(" ")
        kind = " ".join(words[:2]) if words[0] == "new" else words[0]
        name = subject.removeprefix(kind).strip()
        rights |= {Right(kind, name, "" if role == "-" else role, privilege) for privilege in privileges.split(" ")}
    return frozenset(rights)


def superuser(settings: Settings, database: str | None = None) -> Connection:
    """Connect as the superuser.

    Raises:
        NotChecked: its address is not set.
    """
    dsn = settings.pg_superuser_dsn.get_secret_value()
    if not dsn:
        raise NotChecked("OKR_PG_SUPERUSER_DSN is not set")
    return connect(make_conninfo(dsn, dbname=database) if database else dsn, application="okr-audit", autocommit=True)


def warehouse(settings: Settings) -> str:
    """Return the name of the warehouse's database."""
    dsn = settings.dsn_serving.get_secret_value() or settings.dsn_owner.get_secret_value()
    return parts_of(dsn)["dbname"] if dsn else DATABASE


def _rights_in_warehouse(connection: Connection) -> frozenset[Right]:
    connection.execute(read_sql("infra.analysts", "restricted_functions").encode())
    return _rights(connection, "warehouse_rights")


def _rights(connection: Connection, query: str) -> frozenset[Right]:
    rows = connection.execute(read_sql("infra.audit", query).encode()).fetchall()
    return frozenset(Right(*map(str, row)) for row in rows)


def _grouped(rights: Iterable[Right]) -> dict[tuple[str, str, str], list[str]]:
    grouped = defaultdict(list)
    for right in rights:
        grouped[right.kind, right.name, right.role].append(right.privilege)
    return grouped


def _of_analysts(analysts: Iterable[str]) -> set[Right]:
    """Return what every analyst's login has; analyst_limits.py checks the rest."""
    logins = {Right("role", role, "", "LOGIN") for role in analysts}
    return logins | {Right("member", "okr_analyst", role, "MEMBER") for role in analysts}


def _is_default(right: Right, documented: frozenset[Right]) -> bool:
    """Return whether new tables of a published schema get this right, or it is about a schema of a publication."""
    if right.kind == "owner":
        is_new = not any(each.kind == "owner" and each.name == right.name for each in documented)
        return is_new and right.name.startswith("schema ") and right.role == PUBLISHER
    if right.kind != "table" or _schema(right) not in PUBLISHED:
        return False
    return Right("new tables", f"{_schema(right)} of {PUBLISHER}", right.role, right.privilege) in documented


def _schema(right: Right) -> str:
    return right.name.partition(".")[0]


def _owner_action(name: str) -> str:
    kind, _, of_kind = name.partition(" ")
    return f"Run ALTER {kind.upper()} {of_kind} OWNER TO the role that {DOCUMENTED.name} names for it or its schema."


def _action(kind: str, name: str, role: str, privileges: list[str]) -> str:
    words = ", ".join(privileges)
    match kind:
        case "role" if "LOGIN" in privileges:
            return f"If nobody needs it: DROP ROLE {name}. Create analysts with `okr analyst add`."
        case "role":
            return f"Run ALTER ROLE {name} {' '.join(f'NO{privilege}' for privilege in privileges)}."
        case "member":
            return f"Run REVOKE {name} FROM {role}."
        case "column":
            table, _, column = name.partition(" ")
            return f"Run REVOKE {words} {column} ON TABLE {table} FROM {role}."
        case "new tables" | "new sequences" | "new functions" | "new types" | "new schemas":
            schema, _, owner = name.partition(" of ")
            where = "" if schema == "any schema" else f" IN SCHEMA {schema}"
            return (
                f"Run ALTER DEFAULT PRIVILEGES FOR ROLE {owner}{where} "
                f"REVOKE {words} ON {kind.removeprefix('new ').upper()} FROM {role}."
            )
        case _:
            return f"Run REVOKE {words} ON {kind.upper()} {name} FROM {role}."
