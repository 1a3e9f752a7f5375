"""What every service of the stack has: how it is prepared, started, checked and stopped."""

import os
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from infra.local.stack import Stack
from lakehouse.environment import for_children

TELEMETRY_OFF = {
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SCARF_ANALYTICS": "false",
    "SCARF_NO_ANALYTICS": "true",
}
STACK_ID = "OKR_STACK_ID"  # in every process's environment: how `okr down` finds those whose supervisor died


class Service(ABC):
    """One long-running program. The supervisor (or a test) starts it with `command` in `environment`."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()  # services that must be healthy before this one starts
    start_limit_seconds: ClassVar[int] = 60
    start_seconds: ClassVar[int] = 1  # a life shorter than that is a failed start, whatever its exit status says
    stop_signal: ClassVar[str] = "TERM"
    stop_whole_group: ClassVar[bool] = True
    stop_limit_seconds: ClassVar[int] = 20

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def prepare(self) -> None:  # noqa: B027 - most services have nothing to prepare
        """Make what the program needs before its first start; cheap when it is there already."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program and its arguments."""

    def environment(self) -> dict[str, str]:
        """Return the program's whole environment."""
        return platform_environment(self.stack)

    @abstractmethod
    def check(self) -> None:
        """Return when the service answers as it should.

        Raises:
            RetryableError: it does not, or not yet; the message says what was seen.
        """

    def has_reported(self, pid: int) -> bool:
        """Tell whether the process has said that it is ready, where `check` cannot ask it."""
        return True

    def after_start(self) -> None:  # noqa: B027 - most services have nothing to add
        """Make what the service holds for others (roles, topics), now that it is healthy; may be repeated."""

    def working_folder(self) -> Path:
        """Return the folder the program runs in, one per service."""
        return self.stack.folder("run", self.name)


def base_environment(stack: Stack) -> dict[str, str]:
    """Return the part of the environment that every process of the stack has.

    Its home is the stack's own: no ~/.pgpass, ~/.pg_service.conf, ~/.netrc or ~/.dbt of the user has a say.
    """
    environment = for_children(stack.state)
    caches = environment.get("XDG_CACHE_HOME") or str(Path(environment["HOME"]) / ".cache")
    return environment | {
        "HOME": str(stack.folder("home")),
        "XDG_CACHE_HOME": caches,
        STACK_ID: stack.env[STACK_ID],
    }


def platform_environment(stack: Stack) -> dict[str, str]:
    """Return the environment of our own commands and of the tools that run our code."""
    executables = str(Path(sys.executable).parent)
    base = base_environment(stack)
    path = f"{executables}{os.pathsep}{base.get('PATH', os.defpath)}"
    return base | stack.public_env() | TELEMETRY_OFF | {"PATH": path, "PYTHONUNBUFFERED": "1"}
