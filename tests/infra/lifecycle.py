"""Helpers for tests that start the stack under its supervisor, with its two quickest services."""

from pathlib import Path

import pytest

from infra.local import supervisor
from infra.local.postgres import Postgres
from infra.local.redis import Redis
from infra.local.services import select
from infra.local.stack import Stack, prepare_stack
from infra.local.supervisor import Supervisor
from lakehouse.errors import RetryableError
from tests.polling import until

BOTH = select("postgres,redis")


def is_healthy(stack: Stack) -> bool:
    try:
        Postgres(stack).check()
        Redis(stack).check()
    except RetryableError:
        return False
    return True


def service_pid(stack: Stack, name: str) -> int:
    return int(Supervisor(stack).states()[name]["pid"])


def start_as_another_version(state: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Start Redis under a supervisor that lacks some of this version's services and has one that this version lacks."""

    class Retired(Redis):
        name = "retired"

    with monkeypatch.context() as older:
        older.setattr(supervisor, "services_of", lambda stack: (Redis, Retired))
        stack = prepare_stack(state)
        Supervisor(stack).launch()
    Supervisor(stack).start("redis")
    until(lambda: Supervisor(stack).states()["redis"]["statename"] == "RUNNING", "redis runs")
    return stack
