"""The supervisor (supervisord): its settings, how it is started, and its XML-RPC interface on a private UNIX socket."""

import http.client
import os
import resource
import shlex
import socket
import subprocess
import sys
import time
import xmlrpc.client  # nosec B411 -- it parses only what our own supervisor sends through a private socket
from pathlib import Path
from typing import Any

import psutil

from infra.local.base_service import Service, base_environment
from infra.local.services import services_of
from infra.local.short_paths import private_folder
from infra.local.stack import SUPERVISOR_SETTINGS, Stack
from lakehouse.errors import NEEDS_INTERVENTION, PermanentError, RetryableError

# The path of a UNIX socket is limited to 107 bytes, and supervisord appends its process id while it creates the socket.
MAX_SOCKET_PATH_BYTES = 90
START_LIMIT_SECONDS = 15
RESPONSE_TIMEOUT_SECONDS = 10
MAX_LOG_BYTES, LOG_BACKUPS = "20MB", 3
RETRIES = 10  # with increasing delays, so supervisord gives up on a service that does not start after about a minute
IGNORED_FAULTS = {10, 60, 70}  # BAD_NAME, ALREADY_STARTED, NOT_RUNNING


class Supervisor:
    """The supervisor of one stack. Each call opens a new connection to it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.socket = socket_path(stack.state)

    def is_running(self) -> bool:
        """Return whether the supervisor responds."""
        try:
            with self._proxy() as proxy:
                proxy.supervisor.getPID()
        except (OSError, http.client.HTTPException):
            return False
        return True

    def has_current_settings(self) -> bool:
        """Return whether the running supervisor has the settings that the current code would give it for this folder.

        The supervisor reads its settings only when it starts. The limit on open files is not compared, because it
        depends on the caller's shell.
        """
        try:
            in_use = self._settings_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        return _without_file_limit(in_use) == _without_file_limit(self._settings())

    def launch(self) -> None:
        """Start the supervisor in the background, with every service stopped.

        Raises:
            PermanentError: the supervisor did not start; the message contains its output.
        """
        settings = self._settings_file
        settings.write_text(self._settings(), encoding="utf-8")
        self.socket.unlink(missing_ok=True)
        command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(settings)]
        environment = base_environment(self.stack) | {"OKR_STATE": str(self.stack.state)}
        result = subprocess.run(
            command, env=environment, cwd=self.stack.folder("run"), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, timeout=START_LIMIT_SECONDS,
        )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while result.returncode == 0 and time.monotonic() < deadline:
            if self.is_running():
                return
            time.sleep(0.05)
        output = (result.stderr + result.stdout).strip() or f"see {self.stack.state / 'logs' / 'supervisord.log'}"
        raise PermanentError(f"The supervisor did not start: {output}")

    def process(self) -> psutil.Process:
        """Return the supervisor's own process."""
        return psutil.Process(int(self._call("getPID")))

    def states(self) -> dict[str, dict[str, Any]]:
        """Return the state of each service: statename, pid, start (Unix time in seconds), spawnerr ..."""
        found: Any = self._call("getAllProcessInfo")
        return {info["name"]: info for info in found}

    def start(self, name: str) -> None:
        """Start a service unless it is running; return without waiting."""
        self._call("startProcess", f"okr:{name}", False)

    def stop(self, name: str) -> None:
        """Stop a service if it is running; return without waiting."""
        self._call("stopProcess", f"okr:{name}", False)

    def shut_down(self) -> None:
        """End the supervisor and its remaining services; return without waiting."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            with self._proxy() as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in IGNORED_FAULTS:
                raise RetryableError(f"The supervisor refused {method} {arguments}: {fault.faultString}") from fault
        except (OSError, http.client.HTTPException) as error:
            raise RetryableError(f"The supervisor does not respond: {error!r}") from error
        return None

    def _proxy(self) -> xmlrpc.client.ServerProxy:
        # Each call uses a new proxy, because a proxy keeps its connection, which threads cannot share.
        return xmlrpc.client.ServerProxy("http://supervisor", transport=_UnixTransport(str(self.socket)))

    @property
    def _settings_file(self) -> Path:
        return self.stack.folder("run").parent / SUPERVISOR_SETTINGS

    def _settings(self) -> str:
        logs, run = self.stack.folder("logs"), self.stack.folder("run")
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        max_open_files = 65_536
        lines = [
            "[supervisord]",
            f"logfile={_escape(logs / 'supervisord.log')}",
            f"logfile_maxbytes={MAX_LOG_BYTES}",
            f"logfile_backups={LOG_BACKUPS}",
            f"pidfile={_escape(run / 'supervisord.pid')}",
            f"childlogdir={_escape(logs)}",
            f"directory={_escape(run)}",
            f"minfds={max_open_files if hard == resource.RLIM_INFINITY else min(hard, max_open_files)}",
            "minprocs=1",
            "umask=077",
            "identifier=okr-lakehouse",
            *(["user=root"] if os.geteuid() == 0 else []),
            "[unix_http_server]",
            f"file={_escape(self.socket)}",
            "chmod=0600",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
            "[group:okr]",
            f"programs={','.join(kind.name for kind in services_of(self.stack))}",
        ]
        for kind in services_of(self.stack):
            lines += _program_section(kind, logs)
        return "\n".join(lines) + "\n"


def socket_path(state: Path) -> Path:
    """Return the path of the supervisor's socket, which is in the state folder or, if that is too deep, in /tmp.

    Raises:
        PermanentError: the folder in /tmp exists, but belongs to another user.
    """
    path = state / "run" / "supervisor.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    return private_folder(state) / "supervisor.sock"


def _program_section(kind: type[Service], logs: Path) -> list[str]:
    command = shlex.join([sys.executable, "-m", "infra.local.service_entrypoint", kind.name])
    return [
        f"[program:{kind.name}]",
        f"command={_escape(command)}",
        "autostart=false",
        "autorestart=unexpected",
        f"exitcodes={NEEDS_INTERVENTION}",
        f"startsecs={kind.start_seconds}",
        f"startretries={RETRIES}",
        f"stopsignal={kind.stop_signal}",
        f"stopwaitsecs={kind.stop_limit_seconds}",
        f"stopasgroup={str(kind.stop_whole_group).lower()}",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_escape(logs / f'{kind.name}.log')}",
        f"stdout_logfile_maxbytes={MAX_LOG_BYTES}",
        f"stdout_logfile_backups={LOG_BACKUPS}",
    ]


def _without_file_limit(settings: str) -> list[str]:
    return [line for line in settings.splitlines() if not line.startswith("minfds=")]


def _escape(text: str | Path) -> str:
    return str(text).replace("%", "%%")


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # stored, so that closing the proxy closes the connection
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=RESPONSE_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
