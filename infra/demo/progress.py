"""Show the progress of the demo: one live line in a terminal, otherwise plain lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console

PLAIN_LINE_INTERVAL_S = 10.0


@dataclass
class Step:
    """One step of the demo. `say` replaces its detail; `seconds` is its duration once it has ended."""

    title: str
    _progress: "Progress"
    detail: str = ""
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def say(self, detail: str) -> None:
        """Show what the step is doing or waiting for."""
        if detail != self.detail:
            self.detail = detail
            self._progress.refresh(self)


class Progress:
    """Shows the steps one after another and records their durations."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: list[Step] = []
        self._status = console.status("") if console.is_terminal else None
        self._last_plain = 0.0

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run a step; print its duration, title and last detail when it ends."""
        step = Step(title, self)
        self.steps.append(step)
        if self._status:
            self._status.start()
        self.refresh(step, force=True)
        try:
            yield step
        except BaseException as error:
            self._end(step, "[yellow]stopped[/yellow]" if isinstance(error, KeyboardInterrupt) else "[red]failed[/red]")
            raise
        self._end(step, "[green]done[/green]")

    def refresh(self, step: Step, *, force: bool = False) -> None:
        """Redraw the running step."""
        if self._status:
            self._status.update(f"{step.title} [dim]{step.detail}[/dim]")
        elif force or time.monotonic() - self._last_plain >= PLAIN_LINE_INTERVAL_S:
            self._last_plain = time.monotonic()
            self.console.print(f"... {step.title} {step.detail}".rstrip(), highlight=False, soft_wrap=True)

    def _end(self, step: Step, outcome: str) -> None:
        step.seconds = time.monotonic() - step.started
        if self._status:
            self._status.stop()
        line = f"{outcome:<22}{step.seconds:7.1f} s  {step.title}"
        self.console.print(f"{line}  [dim]{step.detail}[/dim]" if step.detail else line, highlight=False)
