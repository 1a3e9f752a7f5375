"""Experiments for operators: the functions of `okr experiment`, recorded. This module does not use FastAPI."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.admin.changes import Changes, Operator
from serving.admin.cursors import Cursors, Page
from serving.experiments.experiment import Arm, Experiment
from serving.experiments.service import ArmCounts, Experiments


@dataclass(frozen=True)
class Before:
    """The sort key of the list: experiments before this one."""

    experiment_id: int


CURSORS = Cursors("/admin/experiments", Before)


class ExperimentOperations:
    """Lists, creates, starts and stops experiments."""

    def __init__(self, experiments: Experiments, changes: Changes) -> None:
        self._experiments = experiments
        self._changes = changes

    def page(self, limit: int, cursor: str | None) -> Page[Experiment]:
        """Return experiments, newest first.

        Raises:
            ContractViolation: this list did not return the cursor.
        """
        before = CURSORS.decode(cursor)
        newest = sorted(self._experiments.all(), key=lambda each: -each.experiment_id)
        found = [each for each in newest if before is None or each.experiment_id < before.experiment_id]
        return CURSORS.page(found[: limit + 1], limit, lambda each: Before(each.experiment_id))

    def get(self, name: str) -> tuple[Experiment, list[ArmCounts]]:
        """Return an experiment and the recent calls of its arms.

        Raises:
            NotFound: there is none with this name.
        """
        found = self._experiments.get(name)
        return found, self._experiments.recent_calls(found)

    def create(self, name: str, arms: Sequence[Arm], operator: Operator, **fields: Any) -> Experiment:
        """Define an experiment, without starting it.

        Raises:
            NotFound: there is no such model.
            NotApplicable: the arms cannot form an experiment.
            Conflict: there already is an experiment with this name.
        """
        with self._changes.recorded(operator, "experiment.created", name):
            return self._experiments.create(name, arms, created_by=operator.name, **fields)

    def start(self, name: str, operator: Operator) -> Experiment:
        """Start an experiment. Every worker follows within about a second.

        Raises:
            NotFound: there is no such experiment, or the registry lacks a version or alias of its arms.
            Conflict: it was started before, or another experiment with the same model is running.
        """
        with self._changes.recorded(operator, "experiment.started", name):
            return self._experiments.start(name)

    def stop(self, name: str, reason: str, operator: Operator) -> Experiment:
        """Stop an experiment permanently. Stopping it again changes nothing.

        Raises:
            NotFound: there is no such experiment.
        """
        with self._changes.recorded(operator, "experiment.stopped", name) as details:
            details["reason"] = reason
            return self._experiments.stop(name, reason)
