"""Check every minute whether unpublished data needs a run of okr_etl_dag, and start one if so.

**Purpose**: publish data that was missed because the announcement of landed events was lost (okr_etl_dag was paused or
Airflow was down) or because a run loaded a batch and then failed. If no run is queued or running, this DAG starts
okr_etl_dag when the lake contains user events that the current publication does not cover, when an operator has decided
on individual events (`okr quarantine`), or when the dbt project has changed since the last build started (a new
release). It compares the actual state with the expected one, so it does not need a record of announcements.

**Owner**: data-platform

**When it fails**, new events are still published when they are announced. Only missed events wait for the next run.

- `start_catch_up_run`: the lake, the warehouse or Airflow could not be reached. The next run tries again. The task is
  skipped if everything is published, if a run is in progress, if okr_etl_dag is paused (Airflow drops events that are
  announced to a paused DAG), for ten minutes after a failed run, and after a rollback until
  `okr publication resume`.
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
