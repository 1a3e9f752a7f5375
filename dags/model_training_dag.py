"""From the published feature mart to a model that answers.

**Purpose**: tune, train, calibrate and judge a forecast model on the published feature mart, register it in MLflow, and
make it champion if it beats the pacing rule and the champion on the same held-out cycle. Weekly.

**Owner**: ml-platform

**When it fails** nothing changes for readers: the champion (or, without one, the pacing rule) goes on answering.

- `train`: skipped, with the reason, while too little has closed to learn from. Failed: the log says what was expected;
  `okr forecast train` runs it by hand.
- `promote`: the challenger could not be judged. `okr forecast promote` judges it again; `okr forecast rollback` goes
  back to the champion before. An outcome `kept` or `refused` is no failure: the challenger was not better.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.steps import training
from dags.steps.step_events import record_failure, record_success

with DAG(
    dag_id="model_training_dag",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 5 * * MON", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=2),
    tags=["okr", "forecast"],
    default_args={
        "owner": "ml-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(hours=1),
        "on_success_callback": record_success,
        "on_failure_callback": record_failure,
    },
):
    task(training.promote)(task(training.train)())
