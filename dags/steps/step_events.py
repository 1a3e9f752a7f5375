"""Send an event for each finished step, so that the lake and fct_pipeline_run contain the pipeline's own history.

The events are sent to the topic okr_data_pipeline. Landing them does not start a run, because a run must not trigger
the next one. A failure is also written to ops.step_failure immediately, so that an operator who is watching the run
sees it before the next publication.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg

from dags.steps.task_adapter import ROWS_XCOM
from lakehouse.errors import GateFailed

SOURCE = "okr-dags"
# Runs do not wait for an unavailable broker. The event remains in the spool on disk until the next step or the metrics
# collector (`okr produce metrics`) sends it.
MAX_WAIT_S = 3.0
MAX_MESSAGE_LENGTH = 1000
MAX_REPORT_LENGTH = 4000  # for the report of a gate, which contains rules and examples


def record_success(context: Mapping[str, Any]) -> None:
    """Record a success. Airflow calls this after reporting the task's state, so downstream tasks do not wait for it."""
    _send(context, "success", None)
    _store_failure(context, None)


def record_failure(context: Mapping[str, Any]) -> None:
    """Record a failure. The message contains no data; the task's log contains the complete error."""
    error = context.get("exception")
    _store_failure(context, _message(error))
    _send(context, "failed", _one_line(error)[:MAX_MESSAGE_LENGTH] if error else None)


# Every DAG passes these in its default_args.
CALLBACKS = {"on_success_callback": record_success, "on_failure_callback": record_failure}


def _store_failure(context: Mapping[str, Any], message: str | None) -> None:
    """Write the failure to ops.step_failure, or delete it if `message` is None because the step has since succeeded."""
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
        get_logger(__name__).warning(
            "the failure of a step could not be stored", step=ti.task_id, run_id=ti.run_id, error=str(error)
        )


def _message(error: BaseException | str | None) -> str:
    """Return the complete report of a failed gate, or one line for any other error."""
    if error is None:
        return "The step ended without a message (killed or timed out). See the task's log."
    gate_failed = isinstance(error, BaseException) and isinstance(error.__cause__, GateFailed)
    return str(error)[:MAX_REPORT_LENGTH] if gate_failed else _one_line(error)[:MAX_MESSAGE_LENGTH]


def _one_line(error: BaseException | str) -> str:
    """Return the error as one line without PostgreSQL's DETAIL and CONTEXT, which may contain a person's data."""
    cause = error if isinstance(error, BaseException) else None
    while cause is not None:
        if isinstance(cause, psycopg.Error) and (primary := cause.diag.message_primary):
            constraint = cause.diag.constraint_name
            return f"{primary} (constraint {constraint})" if constraint and constraint not in primary else primary
        cause = cause.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _send(context: Mapping[str, Any], state: str, message: str | None) -> None:
    from ingestion.contract_validation import encode
    from ingestion.spool import Drainer, Spool
    from lakehouse.contracts.pipeline_step import PipelineStepFinished
    from lakehouse.errors import OkrError
    from lakehouse.kafka_connection import KafkaConnection
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
        drainer = Drainer(spool, KafkaConnection.of(settings))
        try:
            drainer.drain(MAX_WAIT_S)
        finally:
            drainer.close()
            spool.close()
    except OkrError as error:
        # The step itself has finished and must not fail because its event was not sent. A spooled event is sent later.
        get_logger(__name__).warning(
            "the event of a step could not be sent", step=ti.task_id, run_id=ti.run_id, error=str(error)
        )
