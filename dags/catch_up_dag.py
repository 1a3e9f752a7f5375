"""Every minute, start okr_etl_dag for what is landed or loaded and that no run is going to publish.

**Purpose**: an announcement of landed events can be lost (okr_etl_dag was paused, Airflow was away), and a run can load
and then fail. This starts okr_etl_dag when the lake holds user events that the current publication does not cover, when
an operator has decided on single events (`okr quarantine`) or the dbt project has changed since its build began (a new
release), and no run is queued or running. It looks again every minute, so it needs no memory of what was announced.

**Owner**: data-platform

**When it fails** new events are still published as they are announced; only what was missed waits for the next one.

- `start_catch_up_run`: lake, warehouse or Airflow could not be asked; the next minute tries again. It is skipped
  while all is published, while a run is on its way, while okr_etl_dag is paused (Airflow forgets what is announced to
  a paused DAG), for ten minutes after a failed run, and while publishing is held (`okr publication resume`).
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.steps import catch_up
from dags.steps.assets import LANDED
from dags.steps.step_events import record_failure, record_success

with DAG(
    dag_id="catch_up_dag",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("* * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=5),
    tags=["okr", "etl"],
    default_args={
        "owner": "data-platform",
        "retries": 0,
        "execution_timeout": timedelta(minutes=3),
        "on_success_callback": record_success,
        "on_failure_callback": record_failure,
    },
):
    task(outlets=[LANDED])(catch_up.start_catch_up_run)()
