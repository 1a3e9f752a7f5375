"""A small local stack for drills: driven by the `okr` command, compared by the content of all tables."""

import hashlib
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from infra.local.env_file import read_env_file, write_env_file
from infra.local.stack import prepare_stack
from lakehouse.settings import Settings, load_settings
from tests.okr_command import OKR

# What a running platform changes by itself.
CHANGES_BY_ITSELF = ("ops.", "publishing.", "airflow", "serving.worker")
TABLES = """
SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


@dataclass
class Platform:
    """A stack and its repository."""

    state: Path
    repository: Path
    password_file: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def okr(self, *arguments: str, check: bool = True, name: str = "") -> subprocess.CompletedProcess[str]:
        """Run `okr`; note its duration under `name`."""
        started = time.monotonic()
        done = subprocess.run(
            [OKR, *arguments], env=self.environment, cwd=self.state.parent, capture_output=True, text=True, check=False,
            timeout=900,
        )  # fmt: skip
        self.seconds[name or arguments[0]] = time.monotonic() - started
        assert not check or done.returncode == 0, f"okr {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start `okr` in a process group of its own."""
        return subprocess.Popen(
            [OKR, *arguments], env=self.environment, cwd=self.state.parent, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of commands: the caller's, with this state folder."""
        return os.environ | {"OKR_STATE": str(self.state)}

    @property
    def settings(self) -> Settings:
        """The settings in stack.env."""
        return load_settings(self.state)

    @property
    def with_key(self) -> tuple[str, ...]:
        """The options of a host that has nothing but the repository and its key."""
        return "--repository", str(self.repository), "--password-file", str(self.password_file)

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """Return the rows of a query as the superuser."""
        dsn = read_env_file(self.state / "stack.env")["OKR_PG_SUPERUSER_DSN"].rpartition("/")[0] + "/okr"
        with psycopg.connect(dsn) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def events(self) -> dict[str, tuple[int, str]]:
        """Return the content of raw and of the state tables, without the times at which rows were written."""
        return self.content(("raw.", "app."), without=("created_at", "updated_at"))

    def content(self, prefixes: tuple[str, ...] = ("",), without: tuple[str, ...] = ()) -> dict[str, tuple[int, str]]:
        """Return the number of rows and a digest of each table whose name begins so, without some columns."""
        names = [str(name) for (name,) in self.query(TABLES)]
        return {
            name: self._digest(name, without)
            for name in sorted(names)
            if name.startswith(prefixes) and not name.startswith(CHANGES_BY_ITSELF)
        }

    def _digest(self, table: str, without: tuple[str, ...]) -> tuple[int, str]:
        columns = ", ".join(f"'{name}'" for name in without)
        row = f"(to_jsonb(t) - ARRAY[{columns}])::text" if without else "t::text"
        rows = sorted(str(row) for (row,) in self.query(f"SELECT {row} FROM {table} AS t"))
        return len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def new_platform(folder: Path) -> Platform:
    """Prepare a stack that is not started yet, with a repository beside it."""
    platform = Platform(folder / "state", folder / "other-disk" / "repository", folder / "other-disk" / "password")
    platform.repository.parent.mkdir()
    stack = prepare_stack(platform.state)
    write_env_file(platform.state / "stack.env", stack.env)
    platform.okr("backup", "init", *platform.with_key)
    return platform
