"""Debian's nginx with the real configuration, without privileges, on loopback ports of its own."""

import json
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from infra.local.ports import choose, is_free
from infra.nginx.apply import nginx_program
from infra.nginx.site import Site, configuration, web_folder
from tests.ops.certificates import CertificateAuthority
from tests.polling import until

USER = "www-data"  # as on Debian's servers
FATAL = b"GET /fatal "  # a recording server closes the connection, as a process that this request kills


@dataclass(frozen=True)
class Host:
    """A folder that the unprivileged user may use, with a certificate authority."""

    folder: Path
    authority: CertificateAuthority

    def site(self, api_server: str, **changes: Any) -> Site:
        """Return a site for a server on this host, with free ports."""
        https, http = choose(set()), choose(set())
        run = Path(tempfile.mkdtemp(dir=self.folder, prefix="nginx-"))  # a port can be chosen again later
        (run / "temporary").mkdir()
        for path in (run, run / "temporary"):
            shutil.chown(path, USER, USER)
        for path in (run / "error.log", run / "access.log"):  # before `nginx -t` creates them as root
            path.touch()
            shutil.chown(path, USER, USER)
        issued = self.authority.issue(f"server-{https}", owner=USER)
        default = Site(
            authority=f"127.0.0.1:{https}",
            server_names=("127.0.0.1", "localhost"),
            https_listen=(f"127.0.0.1:{https}",),
            http_listen=(f"127.0.0.1:{http}",),
            certificate=issued.certificate,
            key=issued.key,
            api_server=api_server,
            sites_folder=self.folder / "sites",
            web_folder=web_folder(),
            airflow="",
            mlflow="",
            pid_file=run / "nginx.pid",
            error_log=run / "error.log",
            access_log=run / "access.log",
            temporary_folder=run / "temporary",
            connections=256,
            acme_folder=self.folder / "acme",
        )
        return replace(default, **changes)

    def context(self) -> ssl.SSLContext:
        """Return a context of clients that trust the authority."""
        return ssl.create_default_context(cafile=str(self.authority.file))


@contextmanager
def new_host() -> Iterator[Host]:
    """Return a host whose folder is deleted afterwards. Pytest's own folders can be entered only by their owner."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="okr-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Host(folder, CertificateAuthority(folder))


@dataclass(frozen=True)
class Proxy:
    """A running nginx."""

    site: Site
    host: Host
    config: Path

    @property
    def url(self) -> str:
        """Return its address."""
        return f"https://{self.site.authority}"

    @property
    def port(self) -> int:
        """Return the port of HTTPS: for people, or else for other hosts."""
        return int((*self.site.https_listen, *self.site.internal_listen)[0].rpartition(":")[2])

    @property
    def master(self) -> int:
        """Return the process id of the master process."""
        return int(self.site.pid_file.read_text(encoding="ascii"))

    def client(self, **options: Any) -> httpx.Client:
        """Return a client that trusts its authority."""
        return httpx.Client(base_url=self.url, verify=self.host.context(), timeout=30, trust_env=False, **options)

    def connect(self) -> ssl.SSLSocket:
        """Return a TLS connection to it, for requests that no HTTP client sends."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.host.context().wrap_socket(raw, server_hostname="127.0.0.1")

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the access log."""
        return [json.loads(line) for line in self.site.access_log.read_text(encoding="utf-8").splitlines()]

    def line_of(self, request_id: str) -> dict[str, Any]:
        """Return the line of a request. nginx writes it after the response."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.log() if line["request_id"] == request_id]

        (line,) = until(found, "the request is logged", seconds=10, pause=0.02)
        return line


@contextmanager
def running(host: Host, site: Site) -> Iterator[Proxy]:
    """Run nginx with a site until the block ends."""
    config = site.pid_file.with_name("nginx.conf")
    config.write_text(configuration(site), encoding="utf-8")
    user = pwd.getpwnam(USER)
    as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    command = [*as_user, nginx_program(), "-e", str(site.error_log), "-c", str(config), "-g", "daemon off;"]
    process = subprocess.Popen(command)
    proxy = Proxy(site, host, config)

    def is_listening() -> bool:
        assert process.poll() is None, site.error_log.read_text(encoding="utf-8")
        return site.pid_file.exists() and not is_free(proxy.port)

    try:
        until(is_listening, "nginx listens", seconds=20, pause=0.02)
        yield proxy
    finally:
        process.terminate()
        process.wait(20)


@dataclass
class Upstream:
    """A server in the place of the API or a tool that records what it receives and answers every request alike."""

    address: str
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

    def headers(self) -> dict[str, list[str]]:
        """Return the header lines of the newest request, by name in lower case."""
        found: dict[str, list[str]] = {}
        for line in self.heads[-1].decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(": ")
            found.setdefault(name.lower(), []).append(value)
        return found


@contextmanager
def recording(path: Path | None = None) -> Iterator[Upstream]:
    """Run an upstream on a UNIX socket, or on a loopback port."""
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(64)
        shutil.chown(path, group=USER)
        path.chmod(0o660)
        address = f"unix:{path}"
    upstream = Upstream(address)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_answer, args=(upstream, connection), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield upstream
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _answer(upstream: Upstream, connection: socket.socket) -> None:
    """Answer the requests of a connection, each of which has a Content-Length if it has a body."""
    with connection:
        connection.settimeout(30)
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                received = connection.recv(65_536)
                if not received:
                    return
                data += received
            head, _, data = data.partition(b"\r\n\r\n")
            lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            length = int(lengths[0].partition(b":")[2]) if lengths else 0
            while len(data) < length:
                data += connection.recv(65_536)
            if head.startswith(FATAL):
                return
            upstream.heads.append(head)
            upstream.bodies.append(data[:length])
            data = data[length:]
            connection.sendall(upstream.answer)
