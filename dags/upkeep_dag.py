"""The upkeep of the lake and of remembered requests, every ten minutes.

**Purpose**: join the small files of a trickle, shorten the Delta log, and delete what no version of the retention
needs (OKR_LAKE_RETENTION_DAYS); forget what the API was asked more than 90 days ago. It runs beside landing, loading
and readers; nobody waits for it.

**Owner**: data-platform

**When it fails** nothing is lost and nothing stops, but files and log grow, and reading becomes slower by the day.

- `keep_lake`: the log names the table and the error. Disk full: docs/runbooks/lake-full.md. Log or checkpoint damaged:
  docs/runbooks/lake-repair.md. It is skipped while `okr lake upkeep` is at work elsewhere.
- `forget_requests`: PostgreSQL is away, or busy; the next run does it.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.steps import upkeep
from dags.steps.record import record_failure, record_success

with DAG(
    dag_id="upkeep_dag",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/10 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    tags=["okr", "lake"],
    default_args={
        "owner": "data-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=30),
        "on_success_callback": record_success,
        "on_failure_callback": record_failure,
    },
):
    task(upkeep.keep_lake)()
    task(upkeep.forget_requests)()
