"""What a database contains, as text: `pg_dump` of its schema, or of its schema and rows."""

import re
import subprocess
from collections.abc import Sequence

from infra.local.postgres import binary

VOLATILE = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)  # pg_dump writes a random key there


def dump(dsn: str, *, with_rows: bool, without: Sequence[str] = ()) -> list[str]:
    """Return the lines of a dump of a database, without some tables and what differs between equal databases."""
    options = [*([] if with_rows else ["--schema-only"]), *(f"--exclude-table={table}" for table in without)]
    command = [str(binary("pg_dump")), "--dbname", dsn, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return VOLATILE.sub("", done.stdout).splitlines()


def difference(before: list[str], after: list[str]) -> list[str]:
    """Return the lines that only one of two dumps has."""
    return [f"- {line}" for line in sorted({*before} - {*after})] + [
        f"+ {line}" for line in sorted({*after} - {*before})
    ]
