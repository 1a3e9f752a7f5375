"""`okr up`: every service as soon as what it needs is there, each waited for with a limit."""

import importlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from infra.local import kafka_jars
from infra.local.base_service import Service
from infra.local.database_migrations import Database
from infra.local.ports import PORTS, is_free
from infra.local.services import DATABASES, NAMES, service
from infra.local.stack import Stack, open_stack, prepare_stack
from infra.local.state_lock import locked
from infra.local.stop import stop_everything, stop_users
from infra.local.supervisor import Supervisor
from lakehouse.errors import NEEDS_INTERVENTION, OkrError, PermanentError, RetryableError

POLL_SECONDS, SLOW_POLL_SECONDS, QUICK_SECONDS = 0.2, 1.0, 5
STILL_WAITING_SECONDS = 15
# A service that ends is tried again by the supervisor; so often in one start is not a matter of order any more.
MOST_LIVES = 4
REPORTS_WITHIN_S = 60  # of its start, a worker that runs well
Say = Callable[[str], None]


def up(state: Path, names: tuple[str, ...], say: Say) -> Stack:
    """Start the named services (they include what they need) and wait until each is healthy.

    Running ones stay, but for those whose database changes its schema: they start again.

    Raises:
        PermanentError: the state folder cannot be used, or services did not start: each is named with its log.
        RetryableError: something could not be fetched.
    """
    state = state.absolute()
    with locked(state):
        if "kafka" in names and kafka_jars.missing():
            say("Fetching Kafka (46 jars, 41 MB, once) ...")
            kafka_jars.fetch(say)
        stack, names = _stack_with_free_ports(state, names, say)
        supervisor = Supervisor(stack)
        if not supervisor.is_running():
            supervisor.launch()
        _Startup(stack, supervisor, names, say).run()
    return stack


def _stack_with_free_ports(state: Path, names: tuple[str, ...], say: Say) -> tuple[Stack, tuple[str, ...]]:
    """Return the stack, and what to start: the named services, and those that ran when all have to restart."""
    stack = open_stack(state)
    if stack is None:
        return prepare_stack(state), names
    supervisor = Supervisor(stack)
    running: set[str] = set()
    if supervisor.is_running():
        states = supervisor.states()
        running = {name for name in states if states[name]["statename"] in ("RUNNING", "STARTING")}
        blocked = _blocked_ports(stack, set(names) - running)
        if states.keys() != set(NAMES):
            # It cannot be told of a service: it reads its settings once, when it starts.
            say("The stack was started by another version, which has other services: all of it restarts.")
        elif blocked:
            # Every service knows the others' ports from its start.
            say(f"Another program took the port of {', '.join(blocked)}: the stack restarts on other ports.")
        else:
            return prepare_stack(state, keep_port=lambda port: True), names
    stop_everything(stack, say)
    return prepare_stack(state), tuple(name for name in NAMES if name in running.union(names))


def _blocked_ports(stack: Stack, idle: set[str]) -> list[str]:
    owners = {"kafka_controller": "kafka", "airflow": "airflow-api-server"}
    return [port for port in PORTS if owners.get(port, port) in idle and not is_free(stack.port(port))]


class _Startup:
    """One start: a thread per service, which first waits for the services that it needs."""

    def __init__(self, stack: Stack, supervisor: Supervisor, names: tuple[str, ...], say: Say) -> None:
        services = [service(name, stack) for name in names]
        needed = {need for each in services for need in each.needs}
        databases = [kind(stack) for kind in DATABASES if kind.name in needed]
        steps: list[Service | Database] = [*services, *databases]
        self._steps = {step.name: step for step in steps}
        self._stack, self._supervisor, self._logs, self._say = stack, supervisor, stack.folder("logs"), say
        self._interrupted = threading.Event()
        self._begun: dict[str, float] = {}
        self._outcomes: dict[str, Future[None]] = {name: Future() for name in self._steps}

    def run(self) -> None:
        # Migrations and addresses need it in several threads at once, and two that import it together may each find
        # half of it: its modules import each other.
        importlib.import_module("sqlalchemy.orm")
        with ThreadPoolExecutor(len(self._steps) or 1) as pool:
            try:
                for step in self._steps.values():
                    pool.submit(self._take, step)
                self._watch()
            except BaseException:
                self._interrupted.set()
                raise
        failures = [str(error) for outcome in self._outcomes.values() if (error := outcome.exception())]
        if failures:
            raise PermanentError("The stack did not start.\n  " + "\n  ".join(failures))

    def _watch(self) -> None:
        """Wait for every step; each has its own limit. Say now and then what is waited for."""
        pending = set(self._outcomes.values())
        while pending:
            done, pending = wait(pending, timeout=STILL_WAITING_SECONDS, return_when=FIRST_COMPLETED)
            if not done:
                busy = [name for name in self._begun if not self._outcomes[name].done()]
                self._say(f"  ... still waiting for {', '.join(busy)}")

    def _take(self, step: Service | Database) -> None:
        outcome = self._outcomes[step.name]
        try:
            for need in step.needs:
                if self._outcomes[need].exception():
                    outcome.set_exception(PermanentError(f"{step.name}: not started, because it needs {need}"))
                    return
            self._begun[step.name] = began = time.monotonic()
            if isinstance(step, Database):
                self._migrate(step)
            else:
                self._start(step)
            self._say(f"  {step.name:<22} ready after {time.monotonic() - began:4.1f} s")
            outcome.set_result(None)
        except BaseException as error:  # every step must come to an end, or the others wait for ever
            outcome.set_exception(error if isinstance(error, OkrError) else PermanentError(f"{step.name}: {error!r}"))
            if not self._interrupted.wait(POLL_SECONDS):  # Ctrl-C reaches our child processes a moment before us
                self._say(f"  {step.name:<22} FAILED: {error}")

    def _migrate(self, database: Database) -> None:
        """Bring a schema to the newest revision while nobody uses it.

        A program of the release before would write what the new schema refuses. Those that this start does not start
        afterwards go on with the new one.
        """
        stopped: list[str] = []
        database.migrate(lambda: stopped.extend(stop_users(self._stack, self._supervisor, database.name, self._say)))
        for name in stopped:
            if name not in self._steps:
                self._supervisor.start(name)

    def _start(self, step: Service) -> None:
        before = self._supervisor.states()[step.name]
        runs_s = before["now"] - before["start"]
        if before["statename"] == "RUNNING" and runs_s > REPORTS_WITHIN_S and not step.has_reported(before["pid"]):
            self._restart(step)  # of a release that did not report, or its file is gone
        self._supervisor.start(step.name)
        began = time.monotonic()
        deadline = began + step.start_limit_seconds
        lives: set[int] = set()
        now = began
        # Asking takes time from those that are slow to start.
        while not self._interrupted.wait(POLL_SECONDS if now - began < QUICK_SECONDS else SLOW_POLL_SECONDS):
            now, info = time.monotonic(), self._supervisor.states()[step.name]
            lives.add(info["pid"])
            if info["statename"] == "EXITED" and info["exitstatus"] == NEEDS_INTERVENTION:
                raise PermanentError(f"{step.name} needs somebody's help: {self._last_words(step)}")
            if info["statename"] == "FATAL" or len(lives) > MOST_LIVES:
                raise PermanentError(f"{step.name} ends again and again after its start: {self._last_words(step)}")
            try:
                step.check()
            except RetryableError as error:
                why = str(error)
            else:
                why = f"{info['statename']} {info['spawnerr']}".strip()
                if info["statename"] == "RUNNING" and step.has_reported(info["pid"]):
                    step.after_start()
                    return
            if now > deadline:
                raise PermanentError(
                    f"{step.name} is not healthy after {step.start_limit_seconds} s ({why}): {self._last_words(step)}"
                )
        raise PermanentError(f"{step.name}: interrupted")

    def _restart(self, step: Service) -> None:
        self._say(f"  {step.name:<22} restarts: it never reported that it is at work")
        self._supervisor.stop(step.name)
        deadline = time.monotonic() + step.stop_limit_seconds + 5
        while self._supervisor.states()[step.name]["statename"] == "STOPPING" and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _last_words(self, step: Service) -> str:
        log = self._logs / f"{step.name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace")[-2000:].splitlines() if log.exists() else []
        return f"{lines[-1].strip() if lines else 'no output'} -- see {log}"
