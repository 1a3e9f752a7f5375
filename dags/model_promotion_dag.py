"""Promote a registered version of the forecast model if it is better than the champion.

**Purpose**: evaluate one version, by number or alias, on the held-out cycle, and make it the champion if it beats both
the prior and the current champion, as model_training_dag does with the version that it has trained. It has no
schedule: the admin API starts it (`POST /admin/models/{model_name}/promote`), because the API does not import the
gate's libraries. On a host, `okr forecast promote` does the same.

**Owner**: ml-platform

**When it fails**, nothing changes for users. The champion, or the prior if there is none, continues to serve
forecasts.

- `promote`: the version does not exist, or it could not be evaluated; the task's log says why. The outcomes `kept` and
  `rejected` are not failures. They mean that the version was not better.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from dags.steps import training
from dags.steps.step_events import CALLBACKS

with DAG(
    dag_id="model_promotion_dag",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    tags=["okr", "forecast"],
    params={
        "version": Param(
            "challenger", type="string", pattern="^([0-9]{1,9}|challenger)$", description="The version to evaluate."
        ),
    },
    default_args={
        "owner": "ml-platform",
        "retries": 1,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": timedelta(minutes=10),
        **CALLBACKS,
    },
):
    task(training.promote)("{{ params.version }}")
