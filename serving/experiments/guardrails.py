"""Stop an arm on all workers if it breaks one of the experiment's guardrails.

Every second, each worker adds its calls to the sums of all workers and checks the sums. The guardrails therefore
apply to the whole service, regardless of how calls are distributed over the workers.
"""

import threading
import time
from collections.abc import Mapping
from functools import partial

from lakehouse.background import BackgroundThread
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from serving.experiments.experiment import Experiment, Guardrails
from serving.experiments.observations import Observations
from serving.models.loaded_version import LoadedVersion
from serving.models.runtime import ModelRuntime
from serving.publication_reader import PublishedReader, Reader, Row, Warehouse

PACKAGE = "serving.experiments"
CHECK_EVERY_S = 1.0
CALIBRATION_EVERY_S = 60.0  # outcomes change only with publications
LARGEST_SLOW_SHARE = 0.05


def fault_of_arm(guardrails: Guardrails, calls: int, failed_calls: int, slow_calls: int) -> str | None:
    """Return why these calls break the guardrails, or None if they do not, or if there are too few calls."""
    if calls < guardrails.min_calls:
        return None
    errors, slow = failed_calls / calls, slow_calls / calls
    window = f"of its {calls} calls in the last {guardrails.window_minutes} min"
    if guardrails.max_error_share is not None and errors > guardrails.max_error_share:
        return f"{errors:.1%} {window} failed; at most {guardrails.max_error_share:.1%} may."
    if guardrails.max_latency_ms is not None and slow > LARGEST_SLOW_SHARE:
        limit = f"{guardrails.max_latency_ms:g} ms"
        return f"{slow:.1%} {window} took longer than {limit}; at most {LARGEST_SLOW_SHARE:.0%} may."
    return None


def calibration_fault(
    guardrails: Guardrails, key_results: int, mean_probability: float, achieved_share: float
) -> str | None:
    """Return why an arm's forecasts break the limit of calibration, or None if they do not or are too few."""
    limit, gap = guardrails.max_calibration_gap, abs(mean_probability - achieved_share)
    if limit is None or key_results < guardrails.min_key_results or gap <= limit:
        return None
    return (
        f"Its mean probability was {mean_probability:.1%}, but {achieved_share:.1%} of {key_results} key results were "
        f"achieved; the gap may be at most {limit:.1%}."
    )


class GuardrailWatch:
    """Counts the calls of the arms of running experiments, and stops arms."""

    def __init__(
        self,
        warehouse: Warehouse,
        runtime: ModelRuntime,
        observations: Observations,
        check_every_s: float = CHECK_EVERY_S,
    ) -> None:
        self._warehouse = warehouse
        self._runtime = runtime
        self._observations = observations
        self._check_every_s = check_every_s
        self._calibration_at = float("-inf")
        self._stopping = threading.Event()
        self.thread = BackgroundThread("guardrails", self._run, self._stopping, state=runtime.settings.state)
        self._log = get_logger(__name__)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()

    def observe_batch(self, version: LoadedVersion, *, is_failed: bool, duration_s: float) -> None:
        """Count a batch of all current key results for each arm with this version.

        The batch counts as one call, so it affects the share of failed calls and the share of slow calls. Its duration
        is ignored, because no request waits for it.
        """
        del duration_s
        state = self._runtime.current(version.model.name)
        for arm, loaded in state.arms.items():
            if state.experiment is not None and loaded.key == version.key:
                self._observations.add(state.experiment.name, arm, is_failed=is_failed)

    def check(self) -> None:
        """Add this worker's calls, then stop each arm whose calls on all workers break a guardrail.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        running = self._runtime.running_experiments()
        by_name = {experiment.name: experiment for experiment in running}
        taken = self._observations.take()
        if not running:
            return
        with self._warehouse.connection() as connection:
            reader = Reader(connection)
            for (experiment, arm), counted in taken.items():
                limit = by_name[experiment].guardrails.max_latency_ms if experiment in by_name else None
                slow = 0 if limit is None else sum(duration > limit for duration in counted.durations_ms)
                calls = {"calls": counted.calls, "failed_calls": counted.failed_calls, "slow_calls": slow}
                reader.execute(PACKAGE, "add_observations", {"experiment": experiment, "arm": arm, **calls})
            stopped = [experiment for experiment in running if self._check_one(reader, experiment)]
        if stopped:
            self._runtime.wake()

    def _check_one(self, reader: Reader, experiment: Experiment) -> bool:
        window = {"experiment_id": experiment.experiment_id, "window_minutes": experiment.guardrails.window_minutes}
        recent: dict[str, Row] = {row["arm"]: row for row in reader.rows(PACKAGE, "recent_calls", window)}
        faults = {
            arm: fault_of_arm(experiment.guardrails, row["calls"], row["failed_calls"], row["slow_calls"])
            for arm, row in recent.items()
        }
        return self._stop(reader, experiment, faults)

    def check_calibration(self) -> None:
        """Stop each arm whose forecasts differ too much from the published outcomes.

        Raises:
            RetryableError: PostgreSQL is unavailable, or nothing is published yet, or an older release published it.
        """
        for experiment in self._runtime.running_experiments():
            if experiment.guardrails.max_calibration_gap is None:
                continue
            found = self._warehouse.read(partial(_calibration, experiment.name))
            faults = {
                row["arm"]: calibration_fault(
                    experiment.guardrails, row["key_results"], row["mean_probability"], row["achieved_share"]
                )
                for row in found.value
            }
            with self._warehouse.connection() as connection:
                if self._stop(Reader(connection), experiment, faults):
                    self._runtime.wake()

    def _stop(self, reader: Reader, experiment: Experiment, faults: Mapping[str, str | None]) -> bool:
        """Stop the running arms that have a fault, and return whether there are any."""
        running = {arm.name for arm in experiment.running_arms}
        found = {arm: reason for arm, reason in faults.items() if reason is not None and arm in running}
        for arm, reason in found.items():
            values = {"experiment_id": experiment.experiment_id, "arm": arm, "reason": reason}
            if reader.execute(PACKAGE, "stop_arm", values):
                self._log.error("a guardrail stopped an arm", experiment=experiment.name, arm=arm, why=reason)
        return bool(found)

    def _run(self) -> None:
        while not self._stopping.wait(self._check_every_s):
            try:
                self.check()
                if time.monotonic() - self._calibration_at > CALIBRATION_EVERY_S:
                    self._calibration_at = time.monotonic()
                    self.check_calibration()
            except OkrError as error:
                self._log.warning("the guardrails of experiments cannot be checked", error=str(error))
            else:
                self.thread.report_success()


def _calibration(experiment: str, reader: PublishedReader) -> list[Row]:
    return reader.rows(PACKAGE, "calibration", {"experiment": experiment})
