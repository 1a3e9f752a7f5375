"""What a database contains, as text: `pg_dump` of its schema, or of its schema and rows."""

import re
import subprocess

from infra.local.postgres import binary

VOLATILE = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)  # pg_dump writes a random key there


def dump(dsn: str, *, with_rows: bool) -> list[str]:
    """Return the lines of a dump of a database, without what differs between two dumps of the same content."""
    command = [str(binary("pg_dump")), "--dbname", dsn, *([] if with_rows else ["--schema-only"])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return VOLATILE.sub("", done.stdout).splitlines()


def difference(before: list[str], after: list[str]) -> list[str]:
    """Return the lines that only one of two dumps has."""
    return [f"- {line}" for line in sorted({*before} - {*after})] + [
        f"+ {line}" for line in sorted({*after} - {*before})
    ]
