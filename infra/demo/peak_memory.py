"""Measure the peak memory of the whole stack during the demo, as PSS, which counts shared pages once."""

import threading
from types import TracebackType

from infra.local.processes import proportional_bytes, stack_processes
from infra.local.stack import Stack
from lakehouse.background import BackgroundThread

SAMPLE_INTERVAL_S = 4.0  # each sample is slow: it reads the page tables of about forty processes


class PeakMemory:
    """Samples the stack's processes in the background. `peak_bytes` is the largest sum."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopping = threading.Event()
        self._thread = BackgroundThread("peak-memory", self._sample, self._stopping)
        self.peak_bytes = 0

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(10)

    def _sample(self) -> None:
        while not self._stopping.wait(SAMPLE_INTERVAL_S):
            self.peak_bytes = max(self.peak_bytes, proportional_bytes(stack_processes(self._stack)))
