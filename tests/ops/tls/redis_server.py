"""Debian's Redis with the settings and users of infra/redis, and a certificate that tests can exchange."""

import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from pydantic import SecretStr

from infra.local.executables import ROOT
from infra.local.ports import choose
from infra.redis.users import ADMIN, URLS, acl_rules
from lakehouse.settings import Settings
from tests.ops.certificates import CertificateAuthority, ServerCertificate

START_SECONDS = 20


@dataclass(frozen=True)
class SecuredRedis:
    """A running server with its users' passwords."""

    port: int
    passwords: dict[str, str]
    ca_file: Path
    certificate: ServerCertificate

    def settings(self, *, scheme: str = "rediss", ca_file: Path | None = None) -> Settings:
        """Return settings with the addresses of all services."""
        urls = {
            field: SecretStr(f"{scheme}://{user}:{self.passwords[user]}@localhost:{self.port}/0")
            for user, field in (URLS | {ADMIN: "redis_admin_url"}).items()
        }
        return Settings(ca_file=str(ca_file or self.ca_file), **urls)  # type: ignore[arg-type]

    def admin(self) -> "redis.Redis":
        """Return the administrator's client."""
        return redis.Redis(
            host="localhost", port=self.port, username=ADMIN, password=self.passwords[ADMIN], ssl=True,
            ssl_ca_certs=str(self.ca_file),
        )  # fmt: skip

    @contextmanager
    def showing(self, certificate: ServerCertificate) -> Iterator[None]:
        """Show another certificate during a test."""
        with self.admin() as admin:
            admin.ping()  # its connection stays open while the other certificate is shown
            self._show(admin, certificate)
            try:
                yield
            finally:
                self._show(admin, self.certificate)

    @staticmethod
    def _show(admin: "redis.Redis", certificate: ServerCertificate) -> None:
        names = ("tls-cert-file", certificate.certificate, "tls-key-file", certificate.key)
        admin.execute_command("CONFIG", "SET", *map(str, names))  # type: ignore[no-untyped-call]


@contextmanager
def running_redis(folder: Path, authority: CertificateAuthority) -> Iterator[SecuredRedis]:
    """Start a server, and stop it at the end."""
    passwords = {user: secrets.token_hex(24) for user in (ADMIN, *URLS)}
    server = SecuredRedis(choose(set()), passwords, authority.file, authority.issue("redis"))
    (folder / "okr.acl").write_text("\n".join(acl_rules(passwords)) + "\n", encoding="ascii")
    changes = {
        "bind": "127.0.0.1", "tls-port": server.port, "dir": folder, "aclfile": folder / "okr.acl",
        "tls-cert-file": server.certificate.certificate, "tls-key-file": server.certificate.key,
        "tls-ca-cert-file": authority.file,
    }  # fmt: skip
    own = [
        line
        for line in (ROOT / "infra" / "redis" / "redis.conf").read_text(encoding="utf-8").splitlines()
        if line.partition(" ")[0] not in changes
    ]
    file = folder / "redis.conf"
    file.write_text("\n".join([*own, *(f"{name} {value}" for name, value in changes.items()), ""]), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["redis-server", str(file)], stdout=log, stderr=log)
    try:
        _wait(server, process, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _wait(server: SecuredRedis, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            with server.admin() as admin:
                admin.ping()
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
