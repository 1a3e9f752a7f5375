"""`okr postgres roles` on the host of PostgreSQL 18, with the settings of infra/postgres, and an older server.

The embedded PostgreSQL runs as Debian's user `postgres` in a folder of its own. It has no TLS; tests/ops/tls has.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest

from infra.local.executables import ROOT
from infra.local.ports import choose
from infra.local.postgres import binary
from infra.migrations.migrate import migrate
from infra.secrets.forms import Addresses
from infra.secrets.generate import complete
from lakehouse.errors import PermanentError
from tests.ops.conftest import RequirePrograms
from tests.ops.tls.postgres_server import BINARIES

SETTINGS = ROOT / "infra" / "postgres"
NEEDED = ("dsn_", "pg_superuser_dsn", "airflow_dsn", "mlflow_store_uri")


@dataclass(frozen=True)
class Server:
    """A running server of a version, with the folder of its socket and its programs."""

    folder: Path
    binaries: Path
    port: int

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        user = pwd.getpwnam("postgres")
        return subprocess.run(
            [self.binaries / program, *arguments], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, check=True, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def roles(self, secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run the command with secrets in files, as on a server."""
        folder = Path(mkdtemp(dir=self.folder))
        for name in [name for name in secrets if name.startswith(NEEDED)]:
            (folder / f"okr_{name}").write_text(f"{secrets[name]}\n", encoding="ascii")
        return subprocess.run(
            [ROOT / ".venv/bin/okr", "postgres", "roles", f"--psql={self.binaries / 'psql'}",
             f"--socket-folder={self.folder}"],
            env={"PATH": os.defpath, "CREDENTIALS_DIRECTORY": str(folder), "OKR_SETTINGS": "environment"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def secrets(self) -> dict[str, str]:
        """Return new secrets of an installation. The clients of the test use no TLS."""
        made = complete({}, (), Addresses(f"127.0.0.1:{self.port}", "127.0.0.1:6379", "/ca.pem"))
        return {name: value.partition("?sslmode")[0] for name, value in made.items()}


def started(binaries: Path, settings: str) -> Iterator[Server]:
    folder = Path(mkdtemp(prefix="okr-roles-", dir="/var/tmp"))
    server = Server(folder, binaries, choose(set()))
    shutil.chown(folder, "postgres", "postgres")
    try:
        server.run("initdb", "-D", str(folder / "data"), "--auth=peer", "--no-sync", "-E", "UTF8")
        text = (SETTINGS / "pg_hba.conf").read_text(encoding="ascii").replace("hostssl", "host   ")
        (folder / "data" / "pg_hba.conf").write_text(text, encoding="ascii")
        own = {"listen_addresses": "127.0.0.1", "port": server.port, "unix_socket_directories": folder, "fsync": "off"}
        lines = (f"{name} = '{value}'\n" for name, value in own.items())
        (folder / "data" / "postgresql.conf").write_text(settings + "".join(lines), encoding="utf-8")
        server.run("pg_ctl", "-D", str(folder / "data"), "-l", str(folder / "log"), "-w", "start")
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.run("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(require_programs: RequirePrograms) -> Iterator[Server]:
    """PostgreSQL 18 with the settings for servers, before its first use."""
    require_programs(str(BINARIES / "postgres"))  # Debian's package creates the user `postgres`
    yield from started(binary("postgres").parent, (SETTINGS / "postgresql.conf").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def old_server(require_programs: RequirePrograms) -> Iterator[Server]:
    """Debian 12's PostgreSQL 15."""
    require_programs(str(BINARIES / "postgres"))
    yield from started(BINARIES, "")


def test_roles_and_databases_are_created_and_the_warehouse_can_be_migrated(server: Server) -> None:
    secrets = server.secrets()
    done = server.roles(secrets)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "The databases okr, airflow and mlflow exist, and all roles have their passwords.\n"
    migrate(secrets["dsn_owner"])
    for dsn in logins(secrets):
        psycopg.connect(dsn).close()
    with psycopg.connect(secrets["pg_superuser_dsn"]) as connection:
        assert connection.execute("SHOW reserved_connections").fetchone() == ("100",)


def test_the_command_replaces_every_password_also_the_superusers(server: Server) -> None:
    before, after = server.secrets(), server.secrets()
    for secrets in (before, after):
        done = server.roles(secrets)
        assert done.returncode == 0, done.stderr
    for old, new in zip(logins(before), logins(after), strict=True):
        psycopg.connect(new).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(old)
    log = (server.folder / "log").read_text(encoding="utf-8")
    assert not [dsn for dsn in logins(after) if dsn.split("@")[0].rpartition(":")[2] in log]


def test_an_address_with_another_role_changes_nothing(server: Server) -> None:
    secrets = server.secrets()
    assert server.roles(secrets).returncode == 0
    wrong = server.secrets() | {"dsn_loader": secrets["dsn_owner"]}
    done = server.roles(wrong)
    assert done.returncode != 0
    assert "OKR_DSN_LOADER: expected an address with the role okr_loader" in done.stderr
    for dsn in logins(secrets):
        psycopg.connect(dsn).close()


def test_an_older_server_is_refused_by_roles_and_by_a_migration(old_server: Server) -> None:
    secrets = old_server.secrets()
    done = old_server.roles(secrets)
    assert done.returncode != 0
    assert "The server is PostgreSQL 15, expected 18 or later. Nothing was changed." in done.stderr
    old_server.run("psql", "-h", str(old_server.folder), "-p", str(old_server.port), "-d", "postgres", "-c",
                   "CREATE ROLE okr_owner LOGIN PASSWORD 'only-for-this-test'")  # fmt: skip
    with pytest.raises(PermanentError, match="The server is PostgreSQL 15, expected 18 or later"):
        migrate(f"postgresql://okr_owner:only-for-this-test@127.0.0.1:{old_server.port}/postgres")


def logins(secrets: dict[str, str]) -> list[str]:
    return [secrets[name] for name in sorted(secrets) if name.startswith(NEEDED)]
