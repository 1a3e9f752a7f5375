"""The daily look at lake and published marts.

**Purpose**: prove that every event landed and was loaded exactly once; judge what readers see now by every rule, by
recomputation, for freshness and for drift; renew the Data Docs site (`/quality/`).

**Owner**: data-platform

**When it fails** readers may be looking at wrong data.

- `verify_lake`: an offset is missing or there twice. Stop the writers and follow docs/runbooks/lake-verify.md;
  `okr lake verify` proves it again.
- `validate_published`: a rule broke in the published marts, all of one publication. The log and `/quality/` name it. If
  the data is wrong, `okr publication rollback` goes back at once; then mend the cause and start okr_etl_dag. Rules that
  compare with `raw` or `intermediate` are left out, and the report says so, while these are ahead of what is published:
  a run builds, or publishing is held.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.steps import quality
from dags.steps.step_events import record_failure, record_success

with DAG(
    dag_id="data_quality_dag",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 4 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    tags=["okr", "quality"],
    default_args={
        "owner": "data-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=30),
        "on_success_callback": record_success,
        "on_failure_callback": record_failure,
    },
):
    task(quality.verify_lake)()
    task(quality.validate_published)()
