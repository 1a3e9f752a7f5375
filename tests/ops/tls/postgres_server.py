"""Debian's PostgreSQL with TLS only, and a certificate that tests can exchange."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import psycopg
from psycopg import sql

from infra.local.ports import choose
from tests.ops.certificates import CertificateAuthority, ServerCertificate

BINARIES = Path("/usr/lib/postgresql/15/bin")
OWNER = "postgres"
# Over TCP only with TLS. Only root and the server's user can open the socket.
HBA = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class SecuredPostgres:
    """A running server. `okr` is the only login with a password, and owns the database `okr`."""

    folder: Path
    port: int
    password: str
    ca_file: Path

    def dsn(self, *, sslmode: str = "verify-full", ca_file: Path | None = None, scheme: str = "postgresql") -> str:
        """Return the login's DSN."""
        address = f"{scheme}://okr:{self.password}@localhost:{self.port}/okr?sslmode={sslmode}"
        return address if sslmode == "disable" else f"{address}&sslrootcert={ca_file or self.ca_file}"

    @contextmanager
    def showing(self, certificate: ServerCertificate, *, ssl: str = "on") -> Iterator[None]:
        """Show another certificate, or none, during a test."""
        before = (self.folder / "server.key").read_bytes(), (self.folder / "server.crt").read_bytes()
        self._use(certificate.key.read_bytes(), certificate.certificate.read_bytes(), ssl)
        try:
            yield
        finally:
            self._use(*before, "on")

    def execute(self, *statements: "str | sql.Composed") -> "tuple[object, ...] | None":
        """Execute statements as the superuser, and return the first row of the last one."""
        with psycopg.connect(
            host=str(self.folder), port=self.port, user=OWNER, dbname="postgres", autocommit=True
        ) as connection:
            for statement in statements:
                cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchone() if cursor.description else None

    def _use(self, key: bytes, certificate: bytes, ssl: str) -> None:
        (self.folder / "server.key").write_bytes(key)
        (self.folder / "server.crt").write_bytes(certificate)
        before = self.execute(f"ALTER SYSTEM SET ssl = '{ssl}'", "SELECT pg_conf_load_time()")
        self.execute("SELECT pg_reload_conf()")
        while self.execute("SELECT pg_conf_load_time()") == before:
            time.sleep(0.02)


@contextmanager
def running_postgres(authority: CertificateAuthority) -> Iterator[SecuredPostgres]:
    """Start a server in a folder that its user can read, and stop it at the end."""
    folder = Path(mkdtemp(prefix="okr-tls-", dir="/var/tmp"))  # pytest's own folders are closed to other users
    server = SecuredPostgres(folder, choose(set()), secrets.token_hex(16), authority.file)
    try:
        _initialise(server, authority)
        _run("pg_ctl", "-D", str(folder / "data"), "-l", str(folder / "log"), "-w", "start")
        role = sql.SQL("CREATE ROLE okr LOGIN PASSWORD {}").format(server.password)
        server.execute(role, "CREATE DATABASE okr OWNER okr")
        yield server
    finally:
        with suppress(OSError, ValueError, IndexError):  # it may not have started
            pid = int((folder / "data" / "postmaster.pid").read_text(encoding="ascii").split()[0])
            os.kill(pid, signal.SIGQUIT)
            while (folder / "data" / "postmaster.pid").exists():
                time.sleep(0.02)
        shutil.rmtree(folder)


def _initialise(server: SecuredPostgres, authority: CertificateAuthority) -> None:
    folder, certificate = server.folder, authority.issue("postgres")
    for source, name in ((certificate.key, "server.key"), (certificate.certificate, "server.crt")):
        shutil.copyfile(source, folder / name)
        (folder / name).chmod(0o600)
        shutil.chown(folder / name, OWNER, OWNER)
    shutil.chown(folder, OWNER, OWNER)
    _run("initdb", "-D", str(folder / "data"), "--auth=trust", "--no-sync", "-E", "UTF8")
    (folder / "data" / "pg_hba.conf").write_text(HBA, encoding="ascii")
    settings = {
        "listen_addresses": "127.0.0.1", "port": server.port, "unix_socket_directories": folder,
        "ssl": "on", "ssl_cert_file": folder / "server.crt", "ssl_key_file": folder / "server.key",
        "ssl_min_protocol_version": "TLSv1.2", "fsync": "off",
    }  # fmt: skip
    with (folder / "data" / "postgresql.conf").open("a", encoding="ascii") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def _run(program: str, *arguments: str) -> None:
    user = pwd.getpwnam(OWNER)
    subprocess.run(
        [str(BINARIES / program), *arguments], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, check=True, stdout=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
