"""Inject a kill, a freeze or a delay into a worker's process, before or after a named step.

`owner` is the module or class that has the step, `times` selects one of its calls. Only calls for which `given` is true
count; it gets the arguments before a step, and the result after it.
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
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon(within_seconds: float = 0.02) -> None:
    """Kill this process a moment later, from another thread, in the middle of the next step."""
    timer = threading.Timer(random.uniform(0, within_seconds), die)
    timer.daemon = True
    timer.start()


def freeze() -> None:
    """Hang here until the test sends SIGCONT.

    The signal is sent to this thread. A signal to the process may be handled by another thread, so that this one would
    continue for a moment, past the step (a batch was committed before its worker hung).
    """
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def before(
    owner: Any, name: str, act: Callable[[], None], *, times: int = 1, given: Callable[..., object] | None = None
) -> None:
    """Call `act` before the `times`th call of the step."""
    step, calls = getattr(owner, name), []

    @wraps(step)
    def injected(*arguments: Any, **named: Any) -> Any:
        if given is None or given(*arguments, **named):
            calls.append(1)
            if len(calls) == times:
                act()
        return step(*arguments, **named)

    setattr(owner, name, injected)


def after(
    owner: Any, name: str, act: Callable[[], None], *, times: int = 1, given: Callable[[Any], object] | None = None
) -> None:
    """Call `act` after the `times`th call of the step."""
    step, calls = getattr(owner, name), []

    @wraps(step)
    def injected(*arguments: Any, **named: Any) -> Any:
        result = step(*arguments, **named)
        if given is None or given(result):
            calls.append(1)
            if len(calls) == times:
                act()
        return result

    setattr(owner, name, injected)


def slow(owner: Any, name: str, seconds: float) -> None:
    """Delay every call of a step."""
    step = getattr(owner, name)

    @wraps(step)
    def injected(*arguments: Any, **named: Any) -> Any:
        time.sleep(seconds)
        return step(*arguments, **named)

    setattr(owner, name, injected)


def batches_of(rows: int, seconds: float = 0.3) -> None:
    """Make micro-batches small, so that few events make many batches."""
    from ingestion.batch import Limits

    Limits.__init__.__defaults__ = (rows, 24.0, seconds, seconds)  # type: ignore[misc]


def session_timeout(milliseconds: int) -> None:
    """Set the time after which the group removes an unresponsive worker."""
    client_settings(**{"session.timeout.ms": milliseconds, "heartbeat.interval.ms": 500})


def client_settings(**settings: object) -> None:
    """Change settings of the Kafka client (pass names with dots as `**{...}`)."""
    from ingestion import kafka_consumer

    kafka_consumer.CONSUMER_SETTINGS |= settings
