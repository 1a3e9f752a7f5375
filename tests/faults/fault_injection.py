"""What a test plants into a worker's process: a kill, a freeze or a delay before or after a named step.

`owner` is the module or class that holds the step, `times` which of its calls is meant. `given` tells which calls
count: before a step it sees the arguments, after it the result.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any


def die() -> None:
    """Be killed here."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon(within_seconds: float = 0.02) -> None:
    """Be killed a moment later, from another thread: in the middle of what follows."""
    timer = threading.Timer(random.uniform(0, within_seconds), die)
    timer.daemon = True
    timer.start()


def freeze() -> None:
    """Hang here until the test sends SIGCONT.

    The signal goes to this thread. One to the process may be taken by another thread, and this one would run on for a
    moment, past the step (a batch was committed before its worker hung).
    """
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def before(
    owner: Any, name: str, act: Callable[[], None], *, times: int = 1, given: Callable[..., object] | None = None
) -> None:
    """Do `act` when the step is reached for the `times`th time."""
    step, calls = getattr(owner, name), []

    @wraps(step)
    def planted(*arguments: Any, **named: Any) -> Any:
        if given is None or given(*arguments, **named):
            calls.append(1)
            if len(calls) == times:
                act()
        return step(*arguments, **named)

    setattr(owner, name, planted)


def after(
    owner: Any, name: str, act: Callable[[], None], *, times: int = 1, given: Callable[[Any], object] | None = None
) -> None:
    """Do `act` when the step has been done for the `times`th time."""
    step, calls = getattr(owner, name), []

    @wraps(step)
    def planted(*arguments: Any, **named: Any) -> Any:
        result = step(*arguments, **named)
        if given is None or given(result):
            calls.append(1)
            if len(calls) == times:
                act()
        return result

    setattr(owner, name, planted)


def slow(owner: Any, name: str, seconds: float) -> None:
    """Make every call of a step take longer."""
    step = getattr(owner, name)

    @wraps(step)
    def planted(*arguments: Any, **named: Any) -> Any:
        time.sleep(seconds)
        return step(*arguments, **named)

    setattr(owner, name, planted)


def batches_of(rows: int, seconds: float = 0.3) -> None:
    """Make micro-batches small, so that a test needs few events for many of them."""
    from ingestion.batch import Limits

    Limits.__init__.__defaults__ = (rows, 24.0, seconds, seconds)  # type: ignore[misc]


def session_timeout(milliseconds: int) -> None:
    """Set how long the group waits for a worker that says nothing."""
    client_settings(**{"session.timeout.ms": milliseconds, "heartbeat.interval.ms": 500})


def client_settings(**settings: object) -> None:
    """Change settings of the Kafka client (dots in a name: pass them by `**{...}`)."""
    from ingestion import kafka_consumer

    kafka_consumer.CONSUMER_SETTINGS |= settings
