"""Train a forecast model on the published feature mart and promote it if it is better.

**Purpose**: every week, tune, train and evaluate a forecast model on the published feature mart, register it
in MLflow, and make it the champion if it beats both the prior and the current champion on the same held-out
cycle.

**Owner**: ml-platform

**When it fails**, nothing changes for users. The champion, or the prior if there is none, continues to serve
forecasts.

- `train`: the task's log says what was expected. To train by hand, run `okr forecast train`. The task is skipped, with
  the reason, while too few key results are closed to learn from.
- `promote`: the challenger could not be evaluated. To evaluate it again, run `okr forecast promote`; to restore an
  earlier champion, run `okr forecast rollback`. The outcomes `kept` and `rejected` are not failures. They mean that the
  challenger was not better.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, task

from dags.steps import training
from dags.steps.step_events import CALLBACKS

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
        **CALLBACKS,
    },
):
    task(training.promote)(task(training.train)())
