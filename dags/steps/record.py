"""Each step that ended becomes an event, so that the pipeline's own history is in the lake and in fct_pipeline_run.

The topic is okr_data_pipeline, whose landing starts no run: a run must not trigger the next.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dags.steps.edge import ROWS_XCOM

# A run does not wait for a broker that is away; the step's event is then missing and the log says so.
LONGEST_WAIT_S = 5.0
MESSAGE_LENGTH = 1000


def record_success(context: Mapping[str, Any]) -> None:
    """Airflow's on_success_callback: runs after the state was reported, so nothing waits for it."""
    _record(context, "success", None)


def record_failure(context: Mapping[str, Any]) -> None:
    """Airflow's on_failure_callback, with the error's message."""
    error = context.get("exception")
    _record(context, "failed", str(error)[:MESSAGE_LENGTH] if error else None)


def _record(context: Mapping[str, Any], state: str, message: str | None) -> None:
    from ingestion.events import encode
    from ingestion.producer import EventProducer
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
        bootstrap = load_settings().require("kafka_bootstrap")
        with EventProducer(bootstrap, client_id="okr-dags", connect_seconds=LONGEST_WAIT_S) as producer:
            producer.send(encode(data, at=finished_at, source="okr/dags"))
    except OkrError as error:
        # The step itself is done; its record is not worth failing it.
        get_logger(__name__).warning("step not recorded", step=ti.task_id, run_id=ti.run_id, error=str(error))
