"""supervisord, which keeps the services running: its settings, its start, its XML-RPC over a private UNIX socket."""

import http.client
import os
import resource
import shlex
import socket
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

import psutil

from infra.local.base_service import Service, base_environment
from infra.local.services import SERVICES
from infra.local.short_paths import private_folder
from infra.local.stack import Stack
from lakehouse.errors import NEEDS_INTERVENTION, PermanentError, RetryableError

# A UNIX socket's path holds 107 bytes, and supervisord adds its process id while it makes one.
LONGEST_SOCKET_PATH = 90
START_LIMIT_SECONDS = 15
ANSWER_LIMIT_SECONDS = 10
LOG_BYTES, LOG_FILES = "20MB", 3
RETRIES = 10  # with growing pauses: about a minute until a service that cannot start is given up
UNKNOWN_FAULTS = {10, 60, 70}  # BAD_NAME, ALREADY_STARTED, NOT_RUNNING


class Supervisor:
    """The supervisor of one stack; whether it runs is asked each time."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.socket = socket_path(stack.state)

    def is_running(self) -> bool:
        """Tell whether a supervisor answers."""
        try:
            with self._proxy() as proxy:
                proxy.supervisor.getPID()
        except (OSError, http.client.HTTPException):
            return False
        return True

    def launch(self) -> None:
        """Start the supervisor in the background, with every service stopped.

        Raises:
            PermanentError: it does not start; the message holds what it said.
        """
        settings = self.stack.folder("run") / "supervisord.conf"
        settings.write_text(self._settings(), encoding="utf-8")
        self.socket.unlink(missing_ok=True)
        command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(settings)]
        environment = base_environment(self.stack) | {"OKR_STATE": str(self.stack.state)}
        answer = subprocess.run(
            command, env=environment, cwd=self.stack.folder("run"), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, timeout=START_LIMIT_SECONDS,
        )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while answer.returncode == 0 and time.monotonic() < deadline:
            if self.is_running():
                return
            time.sleep(0.05)
        said = (answer.stderr + answer.stdout).strip() or f"see {self.stack.state / 'logs' / 'supervisord.log'}"
        raise PermanentError(f"The supervisor did not start: {said}")

    def process(self) -> psutil.Process:
        """Return the supervisor's own process."""
        return psutil.Process(int(self._call("getPID")))

    def states(self) -> dict[str, dict[str, Any]]:
        """Return what the supervisor knows of each service: statename, pid, start (seconds since 1970), spawnerr."""
        found: Any = self._call("getAllProcessInfo")
        return {info["name"]: info for info in found}

    def start(self, name: str) -> None:
        """Start a service unless it runs; returns at once."""
        self._call("startProcess", f"okr:{name}", False)

    def stop(self, name: str) -> None:
        """Stop a service if it runs; returns at once."""
        self._call("stopProcess", f"okr:{name}", False)

    def shut_down(self) -> None:
        """End the supervisor and whatever still runs under it; returns at once."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            with self._proxy() as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in UNKNOWN_FAULTS:
                raise RetryableError(f"The supervisor refused {method} {arguments}: {fault.faultString}") from fault
        except (OSError, http.client.HTTPException) as error:
            raise RetryableError(f"The supervisor does not answer: {error!r}") from error
        return None

    def _proxy(self) -> xmlrpc.client.ServerProxy:
        # One per call: a proxy keeps a connection, which threads cannot share.
        return xmlrpc.client.ServerProxy("http://supervisor", transport=_UnixTransport(str(self.socket)))

    def _settings(self) -> str:
        logs, run = self.stack.folder("logs"), self.stack.folder("run")
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = 65_536
        lines = [
            "[supervisord]",
            f"logfile={_escape(logs / 'supervisord.log')}",
            f"pidfile={_escape(run / 'supervisord.pid')}",
            f"childlogdir={_escape(logs)}",
            f"directory={_escape(run)}",
            f"minfds={most if hard == resource.RLIM_INFINITY else min(hard, most)}",
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
            f"programs={','.join(kind.name for kind in SERVICES)}",
        ]
        for kind in SERVICES:
            lines += _program(kind, logs)
        return "\n".join(lines) + "\n"


def socket_path(state: Path) -> Path:
    """Return where the supervisor's socket is: in the state folder, or in a private short folder when that is deep.

    Raises:
        PermanentError: the short folder exists and is somebody else's.
    """
    path = state / "run" / "supervisor.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    return private_folder(state) / "supervisor.sock"


def _program(kind: type[Service], logs: Path) -> list[str]:
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
        f"stdout_logfile_maxbytes={LOG_BYTES}",
        f"stdout_logfile_backups={LOG_FILES}",
    ]


def _escape(text: str | Path) -> str:
    return str(text).replace("%", "%%")


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # what closing the proxy closes
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_LIMIT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
