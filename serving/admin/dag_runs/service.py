"""Runs that operators start, recorded in the audit log. This module does not use FastAPI."""

import json

from serving.admin.changes import Changes, Operator
from serving.dag_runs.service import Conf, DagRuns, StartedRun


class DagRunOperations:
    """Starts runs."""

    def __init__(self, dag_runs: DagRuns, changes: Changes) -> None:
        self._dag_runs = dag_runs
        self._changes = changes

    def start(self, dag_id: str, conf: Conf, operator: Operator, idempotency_key: str | None = None) -> StartedRun:
        """Start a run; raises the errors of `DagRuns.start`."""
        with self._changes.recorded(operator, "dag_run.started", dag_id) as details:
            details["conf"] = json.dumps(conf, sort_keys=True)
            started = self._dag_runs.start(dag_id, conf, by=operator.name, idempotency_key=idempotency_key)
            details |= {"run_id": started.run.run_id, "is_new": started.is_new}
        return started
