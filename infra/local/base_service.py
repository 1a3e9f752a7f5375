"""The base class of all services, which defines how a service is prepared, started, checked and stopped."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from infra.local.stack import Stack
from lakehouse.environment import for_children
from lakehouse.settings import ENVIRONMENT, SOURCE

TELEMETRY_OFF = {
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SCARF_ANALYTICS": "false",
    "SCARF_NO_ANALYTICS": "true",
}
STACK_ID = "OKR_STACK_ID"  # set in all processes, so that `okr down` finds those whose supervisor has died


class Service(ABC):
    """One long-running program, which the supervisor (or a test) starts with `command` in `environment`."""

    name: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]] = ()  # the only secrets of stack.env that the program receives
    kafka_user: ClassVar[str] = ""  # its user of Kafka on servers; the broker of the local stack has no logins
    needs: ClassVar[tuple[str, ...]] = ()  # services that must be healthy before this one starts
    code: ClassVar[tuple[str, ...]]  # paths below the project's root; `okr up` restarts the service if they changed
    start_limit_seconds: ClassVar[int] = 180  # a failed start is detected sooner
    start_seconds: ClassVar[int] = 1  # a process that exits sooner has failed to start, whatever its exit status
    stop_signal: ClassVar[str] = "TERM"
    stop_whole_group: ClassVar[bool] = True
    stop_limit_seconds: ClassVar[int] = 20

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def prepare(self) -> None:  # noqa: B027 - most services have nothing to prepare
        """Create what the program needs before it starts. This is cheap if everything already exists."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program and its arguments."""

    def environment(self) -> dict[str, str]:
        """Return the complete environment of the program."""
        return platform_environment(self.stack, self.secrets)

    @abstractmethod
    def check(self) -> None:
        """Check that the service is healthy.

        Raises:
            RetryableError: it is not healthy (yet); the message says what was observed.
        """

    def has_reported(self, pid: int) -> bool:
        """Return whether the process has reported that it is ready, for services that `check` cannot query."""
        return True

    def after_start(self) -> None:  # noqa: B027 - most services have nothing to add
        """Create what the healthy service provides to others, such as roles and topics. Can be called repeatedly."""

    def working_folder(self) -> Path:
        """Return the service's own working folder."""
        return self.stack.folder("run", self.name)


def base_environment(stack: Stack) -> dict[str, str]:
    """Return the part of the environment that all processes of the stack share.

    HOME is a folder of the stack, so that the user's ~/.pgpass, ~/.pg_service.conf, ~/.netrc and ~/.dbt have no
    effect.
    """
    environment = for_children(stack.state)
    caches = environment.get("XDG_CACHE_HOME") or str(Path(environment["HOME"]) / ".cache")
    return environment | {
        "HOME": str(stack.folder("home")),
        "XDG_CACHE_HOME": caches,
        STACK_ID: stack.env[STACK_ID],
    }


def platform_environment(stack: Stack, secrets: Collection[str]) -> dict[str, str]:
    """Return the environment of `okr` commands and of tools that run the project's code."""
    executables = str(Path(sys.executable).parent)
    base = base_environment(stack)
    path = f"{executables}{os.pathsep}{base.get('PATH', os.defpath)}"
    fixed = {SOURCE: ENVIRONMENT, "PATH": path, "PYTHONUNBUFFERED": "1"}
    return base | stack.settings(secrets) | TELEMETRY_OFF | fixed
