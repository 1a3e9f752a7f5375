"""`okr up`: start each service once the services that it needs are healthy, and wait for each up to its limit."""

import importlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from infra.backup.swap import require_complete
from infra.local import kafka_jars
from infra.local.base_service import Service
from infra.local.code_fingerprint import has_outdated_code
from infra.local.database_migrations import Database
from infra.local.ports import is_free
from infra.local.services import DATABASES, service, services_of
from infra.local.stack import Stack, open_stack, prepare_stack
from infra.local.state_lock import locked
from infra.local.stop import stop_everything, stop_services_using
from infra.local.supervisor import Supervisor
from infra.logs.files import last_message
from lakehouse.errors import NEEDS_INTERVENTION, OkrError, PermanentError, RetryableError

POLL_SECONDS, SLOW_POLL_SECONDS, FREQUENT_POLL_LIMIT_SECONDS = 0.2, 1.0, 5
PROGRESS_INTERVAL_SECONDS = 15
# The supervisor restarts services that exit. If a service exits even after this many attempts, the cause is not just
# that another service is not ready yet.
MAX_ATTEMPTS = 4
READY_REPORT_LIMIT_S = 60  # within this time, a healthy worker reports that it is ready
Say = Callable[[str], None]


def up(state: Path, names: tuple[str, ...], say: Say, tls: bool | None = None, monitoring: bool | None = None) -> Stack:
    """Start the named services, which must include those that they need, and wait until all are healthy.

    `tls` puts nginx in front of the stack, or removes it, and `monitoring` starts or removes Prometheus; None means as
    before. A running service is restarted if its code has changed, if it never reported that it was ready, or if its
    database is migrated. All are restarted if the running supervisor has other settings, if `tls` or `monitoring`
    changes, or if a port was taken.

    Raises:
        PermanentError: the state folder cannot be used, or services did not start; the message names their logs.
        RetryableError: Kafka's jars could not be downloaded.
    """
    state = state.absolute()
    with locked(state):
        require_complete(state)
        if "kafka" in names and kafka_jars.missing():
            say("Downloading Kafka (46 jars, 41 MB, once) ...")
            kafka_jars.fetch(say)
        if "kafka" in names and "prometheus" in names:
            kafka_jars.fetch_agent(say)
        stack, names = _stack_with_free_ports(state, names, say, tls, monitoring)
        supervisor = Supervisor(stack)
        if not supervisor.is_running():
            supervisor.launch()
        _Startup(stack, supervisor, names, say).run()
    return stack


def _stack_with_free_ports(
    state: Path, names: tuple[str, ...], say: Say, tls: bool | None, monitoring: bool | None
) -> tuple[Stack, tuple[str, ...]]:
    """Return the stack and the services to start: the named ones, plus all running ones if the whole stack restarts."""
    stack = open_stack(state)
    if stack is None:
        return prepare_stack(state, tls=tls, monitoring=monitoring), names
    supervisor = Supervisor(stack)
    running: set[str] = set()
    if supervisor.is_running():
        states = supervisor.states()
        running = {name for name in states if states[name]["statename"] in ("RUNNING", "STARTING")}
        blocked = _blocked_ports(stack, set(names) - running)
        if tls is not None and tls != stack.has_tls:
            say(
                f"TLS is now {'on' if tls else 'off'}: restarting the stack, because other services must know about it."
            )
        elif monitoring is not None and monitoring != stack.has_monitoring:
            say(f"Monitoring is now {'on' if monitoring else 'off'}: restarting the stack.")
        elif states.keys() != {kind.name for kind in services_of(stack)} or not supervisor.has_current_settings():
            # The supervisor reads its settings only when it starts.
            say("Another version of the code started this stack, with different services or settings: restarting it.")
        elif blocked:
            # Services read the ports of other services only when they start.
            say(f"Another program has taken the port of {', '.join(blocked)}: restarting the stack on new ports.")
        else:
            return prepare_stack(state, keep_port=lambda port: True), names
    stop_everything(stack, say)
    stack = prepare_stack(state, tls=tls, monitoring=monitoring)
    return stack, tuple(kind.name for kind in services_of(stack) if kind.name in running.union(names))


def _blocked_ports(stack: Stack, idle: set[str]) -> list[str]:
    owners = {"kafka_controller": "kafka", "kafka-jmx": "kafka", "airflow": "airflow-api-server"}
    return [port for port in stack.ports if owners.get(port, port) in idle and not is_free(stack.port(port))]


class _Startup:
    """One start of the stack. Each service has a thread, which first waits for the services that it needs."""

    def __init__(self, stack: Stack, supervisor: Supervisor, names: tuple[str, ...], say: Say) -> None:
        services = [service(name, stack) for name in names]
        needed = {need for each in services for need in each.needs}
        databases = [kind(stack) for kind in DATABASES if kind.name in needed]
        steps: list[Service | Database] = [*services, *databases]
        self._steps = {step.name: step for step in steps}
        self._stack, self._supervisor, self._logs, self._say = stack, supervisor, stack.folder("logs"), say
        self._interrupted = threading.Event()
        self._started_at: dict[str, float] = {}
        self._outcomes: dict[str, Future[None]] = {name: Future() for name in self._steps}

    def run(self) -> None:
        # Several threads need this package. Its modules import each other, so threads that import it concurrently could
        # see a partially imported package.
        importlib.import_module("sqlalchemy.orm")
        with ThreadPoolExecutor(len(self._steps) or 1) as pool:
            try:
                for step in self._steps.values():
                    pool.submit(self._run_step, step)
                self._watch()
            except BaseException:
                self._interrupted.set()
                raise
        failures = [str(error) for outcome in self._outcomes.values() if (error := outcome.exception())]
        if failures:
            raise PermanentError("The stack did not start.\n  " + "\n  ".join(failures))

    def _watch(self) -> None:
        """Wait for all steps, each of which has its own time limit, and regularly report which are still running."""
        pending = set(self._outcomes.values())
        while pending:
            done, pending = wait(pending, timeout=PROGRESS_INTERVAL_SECONDS, return_when=FIRST_COMPLETED)
            if not done:
                busy = [name for name in self._started_at if not self._outcomes[name].done()]
                self._say(f"  ... still waiting for {', '.join(busy)}")

    def _run_step(self, step: Service | Database) -> None:
        outcome = self._outcomes[step.name]
        try:
            for need in step.needs:
                if self._outcomes[need].exception():
                    outcome.set_exception(PermanentError(f"{step.name}: not started, because it needs {need}"))
                    return
            self._started_at[step.name] = started = time.monotonic()
            if isinstance(step, Database):
                self._migrate(step)
            else:
                self._start(step)
            self._say(f"  {step.name:<22} ready after {time.monotonic() - started:4.1f} s")
            outcome.set_result(None)
        except BaseException as error:  # a step without an outcome would make dependent steps wait forever
            outcome.set_exception(error if isinstance(error, OkrError) else PermanentError(f"{step.name}: {error!r}"))
            if not self._interrupted.wait(POLL_SECONDS):  # after Ctrl-C, which may reach child processes first
                self._say(f"  {step.name:<22} FAILED: {error}")

    def _migrate(self, database: Database) -> None:
        """Migrate a schema to the newest revision while no service uses it.

        A service of the previous release could write rows that the new schema rejects. Services that are stopped for
        the migration but are not part of this start are started again here.
        """
        stopped: list[str] = []
        database.migrate(
            lambda: stopped.extend(stop_services_using(self._stack, self._supervisor, database.name, self._say))
        )
        for name in stopped:
            if name not in self._steps:
                self._supervisor.start(name)

    def _start(self, step: Service) -> None:
        if why := self._why_restart(step):
            self._stop_to_restart(step, why)
        self._supervisor.start(step.name)
        started = time.monotonic()
        deadline = started + step.start_limit_seconds
        pids: set[int] = set()
        now = started
        # Frequent checks would slow down services that take long to start, so the checks become less frequent.
        while not self._interrupted.wait(
            POLL_SECONDS if now - started < FREQUENT_POLL_LIMIT_SECONDS else SLOW_POLL_SECONDS
        ):
            now, info = time.monotonic(), self._supervisor.states()[step.name]
            pids.add(info["pid"])
            if info["statename"] == "EXITED" and info["exitstatus"] == NEEDS_INTERVENTION:
                raise PermanentError(
                    f"{step.name} has stopped and requires manual intervention: {self._last_output(step)}"
                )
            if info["statename"] == "FATAL" or len(pids) > MAX_ATTEMPTS:
                raise PermanentError(f"{step.name} keeps exiting after it starts: {self._last_output(step)}")
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
                    f"{step.name} is not healthy after {step.start_limit_seconds} s ({why}): {self._last_output(step)}"
                )
        raise PermanentError(f"{step.name}: interrupted")

    def _why_restart(self, step: Service) -> str | None:
        """Return why a running service must be restarted, or None if it need not be."""
        info = self._supervisor.states()[step.name]
        if info["statename"] != "RUNNING":
            return None
        if has_outdated_code(step):
            return "its code has changed since it started"
        is_late = info["now"] - info["start"] > READY_REPORT_LIMIT_S
        return "it never reported that it was ready" if is_late and not step.has_reported(info["pid"]) else None

    def _stop_to_restart(self, step: Service, why: str) -> None:
        self._say(f"  {step.name:<22} restarting: {why}")
        self._supervisor.stop(step.name)
        deadline = time.monotonic() + step.stop_limit_seconds + 5
        while self._supervisor.states()[step.name]["statename"] == "STOPPING" and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _last_output(self, step: Service) -> str:
        log = self._logs / f"{step.name}.log"
        return f"{last_message(log, step.name)} -- see {log}"
