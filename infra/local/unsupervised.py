"""Run one service without the supervisor, for tests and benchmarks."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from infra.local.base_service import Service
from lakehouse.errors import RetryableError

POLL_SECONDS = 0.05


@contextmanager
def running(service: Service) -> Iterator[None]:
    """Start a service in its own process group, wait until it is healthy, and stop it when the context ends.

    Raises:
        RetryableError: the service exited, or was not healthy within its limit; the message names its log.
    """
    service.prepare()
    log = service.stack.folder("logs") / f"{service.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            service.command(),
            env=service.environment(),
            cwd=service.working_folder(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_healthy(service, process, str(log))
        yield
    finally:
        _stop(service, process)


def _wait_healthy(service: Service, process: "subprocess.Popen[bytes]", log: str) -> None:
    deadline = time.monotonic() + service.start_limit_seconds
    while True:
        try:
            service.check()
        except RetryableError as error:
            if process.poll() is not None:
                raise RetryableError(
                    f"{service.name} exited with status {process.returncode} while starting; see {log}"
                ) from error
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"{service.name} was not healthy after {service.start_limit_seconds} s ({error}); see {log}"
                ) from error
            time.sleep(POLL_SECONDS)
        else:
            return


def _stop(service: Service, process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(getattr(signal, f"SIG{service.stop_signal}"))
        try:
            process.wait(service.stop_limit_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
