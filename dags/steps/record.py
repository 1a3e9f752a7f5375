"""Each step that ended becomes an event, so that the pipeline's own history is in the lake and in fct_pipeline_run.

The topic is okr_data_pipeline, whose landing starts no run: a run must not trigger the next.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dags.steps.edge import ROWS_XCOM

SOURCE = "okr-dags"
# A run does not wait for a broker that is away: the event is on disk, and the next step, or the collector of metrics
# (`okr produce metrics`), sends it.
LONGEST_WAIT_S = 3.0
MESSAGE_LENGTH = 1000


def record_success(context: Mapping[str, Any]) -> None:
    """Airflow's on_success_callback: runs after the state was reported, so nothing waits for it."""
    _record(context, "success", None)


def record_failure(context: Mapping[str, Any]) -> None:
    """Airflow's on_failure_callback, with what may be told of the error; Airflow's log has all of it."""
    error = context.get("exception")
    _record(context, "failed", _told(error)[:MESSAGE_LENGTH] if error else None)


def _told(error: BaseException | str) -> str:
    """Return the error in a line for the lake: what PostgreSQL adds as DETAIL or CONTEXT may be a row of somebody."""
    import psycopg

    cause = error if isinstance(error, BaseException) else None
    while cause is not None:
        if isinstance(cause, psycopg.Error) and (primary := cause.diag.message_primary):
            constraint = cause.diag.constraint_name
            return f"{primary} (constraint {constraint})" if constraint and constraint not in primary else primary
        cause = cause.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _record(context: Mapping[str, Any], state: str, message: str | None) -> None:
    from ingestion.events import encode
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
