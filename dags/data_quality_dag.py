"""Check the lake and the published marts once a day.

**Purpose**: verify that no event was lost or duplicated between Kafka and `raw`, validate the published marts (all
rules, recomputation, freshness and drift), and update the Data Docs site (`/quality/`).

**Owner**: data-platform

**When it fails**, the published data may be wrong.

- `verify_lake`: an offset is missing or duplicated, or the broker did not answer; the log says which. In the first
  case, stop the writers and follow docs/runbooks/lake-verify.md. To repeat the check, run `okr lake verify`.
- `validate_published`: the published marts break a rule, which the log and `/quality/` name. If the data is wrong, run
  `okr publication rollback` immediately, then fix the cause, and run `okr publication resume` and
  `okr dag start okr_etl_dag`. All marts are read from a single publication. Rules that compare with `raw` or
  `intermediate` are skipped while these schemas are ahead of the publication (a run is building, or publications are on
  hold); the report says so.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.steps import quality
from dags.steps.step_events import CALLBACKS

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
        **CALLBACKS,
    },
):
    task(quality.verify_lake)()
    task(quality.validate_published)()
