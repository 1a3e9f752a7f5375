"""Count the calls of each arm's model in this worker, until a thread adds them to the sums of all workers."""

import threading
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class ArmCalls:
    """Calls of one arm's model: their number, the number of failed calls, and the durations of the timed calls."""

    calls: int = 0
    failed_calls: int = 0
    durations_ms: list[float] = field(default_factory=list)


class Observations:
    """Collects calls by experiment and arm. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, str], ArmCalls] = defaultdict(ArmCalls)

    def add(self, experiment: str, arm: str, *, is_failed: bool, duration_ms: float | None = None) -> None:
        """Record a call. `duration_ms` is None for batches, which no request waits for."""
        with self._lock:
            counted = self._calls[experiment, arm]
            counted.calls += 1
            counted.failed_calls += is_failed
            if duration_ms is not None:
                counted.durations_ms.append(duration_ms)

    def take(self) -> dict[tuple[str, str], ArmCalls]:
        """Return the calls since the last `take`, and start again from zero."""
        with self._lock:
            taken, self._calls = self._calls, defaultdict(ArmCalls)
        return dict(taken)
