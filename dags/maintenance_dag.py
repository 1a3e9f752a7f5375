"""Maintain the lake and delete old API requests, every ten minutes.

**Purpose**: compact small files, clean up the Delta log, delete files that no table version within the retention
(OKR_LAKE_RETENTION_DAYS) needs, prune `okr_system_metrics` (OKR_SYSTEM_METRICS_RETENTION_DAYS), and delete API requests
that were received more than 90 days ago. It runs concurrently with landing, loading and readers, and nothing waits for
it.

**Owner**: data-platform

**When it fails**, no data is lost and nothing stops, but the number of files and the Delta log grow, and reads get
slower every day.

- `maintain_lake`: the task's log names the table and the error. If the disk is full, see docs/runbooks/lake-full.md.
  If the Delta log or a checkpoint is damaged, see docs/runbooks/lake-repair.md. The task is skipped while another
  `okr lake maintain` is running.
- `delete_expired_requests`: PostgreSQL is unavailable or busy. The next run deletes the requests.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.steps import maintenance
from dags.steps.step_events import CALLBACKS

with DAG(
    dag_id="maintenance_dag",
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
        **CALLBACKS,
    },
):
    task(maintenance.maintain_lake)()
    task(maintenance.delete_expired_requests)()
