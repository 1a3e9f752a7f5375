"""Start okr_etl_dag every minute if landed or loaded data is unpublished and no run will publish it.

**Purpose**: the announcement of landed events can be lost (okr_etl_dag was paused, Airflow was down), and a run can
load a batch and then fail. This DAG starts okr_etl_dag if the lake holds user events that the current publication does
not cover, if an operator has decided on single events (`okr quarantine`), or if the dbt project has changed since the
last build started (a new release), provided that no run is queued or running. It compares states every minute and
therefore keeps no record of announcements.

**Owner**: data-platform

**When it fails** new events are still published as they are announced; only missed ones wait for the next minute.

- `start_catch_up_run`: the lake, the warehouse or Airflow could not be reached; the next run tries again. The task is
  skipped while everything is published, while a run is in progress, while okr_etl_dag is paused (Airflow drops events
  that are announced to a paused DAG), for ten minutes after a failed run, and while publications are on hold
  (`okr publication resume`).
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.steps import catch_up
from dags.steps.assets import LANDED
from dags.steps.step_events import CALLBACKS

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
        **CALLBACKS,
    },
):
    task(outlets=[LANDED])(catch_up.start_catch_up_run)()
