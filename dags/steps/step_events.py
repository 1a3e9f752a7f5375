"""Each step that ended becomes an event, so that the pipeline's own history is in the lake and in fct_pipeline_run.

The topic is okr_data_pipeline, whose landing starts no run: a run must not trigger the next. A failure is also kept in
ops.step_failure, at once: whoever waits for the run cannot wait for the next one to publish why it failed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg

from dags.steps.task_adapter import ROWS_XCOM
from lakehouse.errors import GateFailed

SOURCE = "okr-dags"
# A run does not wait for a broker that is away: the event is on disk, and the next step, or the collector of metrics
# (`okr produce metrics`), sends it.
LONGEST_WAIT_S = 3.0
MESSAGE_LENGTH = 1000
REPORT_LENGTH = 4000  # of a gate: its rules, with examples


def record_success(context: Mapping[str, Any]) -> None:
    """Airflow's on_success_callback: runs after the state was reported, so nothing waits for it."""
    _send(context, "success", None)
    _keep(context, None)


def record_failure(context: Mapping[str, Any]) -> None:
    """Airflow's on_failure_callback, with what may be told of the error; Airflow's log has all of it."""
    error = context.get("exception")
    _keep(context, _said(error))
    _send(context, "failed", _told(error)[:MESSAGE_LENGTH] if error else None)


def _keep(context: Mapping[str, Any], message: str | None) -> None:
    """Note a failure where whoever waits looks, or forget it (None): the step has succeeded since."""
    from lakehouse import step_failure
    from lakehouse.errors import OkrError
    from lakehouse.logs import get_logger
    from lakehouse.settings import load_settings

    ti = context["ti"]
    try:
        dsn = load_settings().require("dsn_transform")
        if message is None:
            started_at = ti.start_date or datetime.now(UTC)
            step_failure.delete_superseded(
                dsn, pipeline=ti.dag_id, run_id=ti.run_id, step=ti.task_id, started_at=started_at
            )
        else:
            at = ti.end_date or datetime.now(UTC)
            step_failure.record(dsn, step_failure.StepFailure(ti.dag_id, ti.run_id, ti.task_id, at, message))
    except (OkrError, psycopg.Error) as error:
        get_logger(__name__).warning("failure not kept", step=ti.task_id, run_id=ti.run_id, error=str(error))


def _said(error: BaseException | str | None) -> str:
    """Return what the step said: a gate's rules and examples whole, of another error its line for the lake."""
    if error is None:
        return "It ended without a word (killed, or out of time). See the task's log."
    gate_failed = isinstance(error, BaseException) and isinstance(error.__cause__, GateFailed)
    return str(error)[:REPORT_LENGTH] if gate_failed else _told(error)[:MESSAGE_LENGTH]


def _told(error: BaseException | str) -> str:
    """Return the error in a line for the lake: what PostgreSQL adds as DETAIL or CONTEXT may be a row of somebody."""
    cause = error if isinstance(error, BaseException) else None
    while cause is not None:
        if isinstance(cause, psycopg.Error) and (primary := cause.diag.message_primary):
            constraint = cause.diag.constraint_name
            return f"{primary} (constraint {constraint})" if constraint and constraint not in primary else primary
        cause = cause.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _send(context: Mapping[str, Any], state: str, message: str | None) -> None:
    from ingestion.event_codec import encode
    from ingestion.spool import Drainer, Spool
    from lakehouse.contracts.pipeline_step import PipelineStepFinished
    from lakehouse.errors import OkrError
    from lakehouse.logs import get_logger
    from lakehouse.settings import load_settings

    ti = context["ti"]
    finished_at = ti.end_date or datetime.now(UTC)
    data = PipelineStepFinished(
        pipeline=ti.dag_id, step=ti.task_id, run_id=ti.run_id, state=state, started_at=ti.start_date,  # type: ignore[arg-type]
        finished_at=finished_at, rows=ti.xcom_pull(task_ids=ti.task_id, key=ROWS_XCOM), message=message,
    )  # fmt: skip
    try:
        settings = load_settings()
        spool = Spool.of(settings, SOURCE)
        spool.append([encode(data, at=finished_at, source="okr/dags")])
        drainer = Drainer(spool, settings.require("kafka_bootstrap"))
        try:
            drainer.drain(LONGEST_WAIT_S)
        finally:
            drainer.close()
            spool.close()
    except OkrError as error:
        # The step itself is done; its record is not worth failing it. What the spool kept is sent later.
        get_logger(__name__).warning("step not recorded yet", step=ti.task_id, run_id=ti.run_id, error=str(error))
