"""Train a forecast model on the published feature mart and promote it if it is better.

**Purpose**: tune, train, calibrate and evaluate a forecast model on the published feature mart, register it in MLflow,
and make it champion if it beats the pacing rule and the champion on the same held-out cycle. Weekly.

**Owner**: ml-platform

**When it fails** nothing changes for readers: the champion (or the pacing rule, if there is no champion) stays active.

- `train`: skipped, with the reason, while too few key results are closed to learn from. On failure the log says what
  was expected; `okr forecast train` trains by hand.
- `promote`: the challenger could not be evaluated. `okr forecast promote` evaluates it again; `okr forecast rollback`
  restores an earlier champion. The outcomes `kept` and `rejected` are not failures: the challenger was not better.
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
