"""The documented rights of PostgreSQL's roles are those that the bootstrap and the migrations grant."""

from infra.audit.postgres_rights import DOCUMENTED, read_rights, rights_text, write_rights
from lakehouse.settings import Settings

UPDATE = "`okr installation rights > infra/audit/documented_rights.txt`, with a new stack, writes the file"


def test_the_documented_rights_are_those_of_a_new_warehouse(postgres: Settings) -> None:
    documented = read_rights(DOCUMENTED.read_text(encoding="utf-8"))
    # Roles and databases that other tests have created do not count.
    roles = {right.name for right in documented if right.kind == "role"} | {
        "PUBLIC",
        "okr_analyst",
        "okr_service",
        "pg_database_owner",
    }
    databases = {right.name for right in documented if right.kind == "database"}
    found = {
        right
        for right in read_rights(rights_text(postgres))
        if (right.role or right.name) in roles and (right.kind != "database" or right.name in databases)
    }
    assert sorted(found - documented) == [], UPDATE
    assert sorted(documented - found) == [], UPDATE


def test_written_rights_can_be_read() -> None:
    text = DOCUMENTED.read_text(encoding="utf-8")
    assert write_rights(read_rights(text)) == text
