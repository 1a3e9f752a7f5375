"""From landed events to published marts.

**Purpose**: load what has landed in the lake, build the marts where nobody reads, judge them, publish them in one
transaction. Started by landed events (asset `okr_user_events_landed`) and once a day.

**Owner**: data-platform

**Every task may be cleared at any time**, alone or with what follows it: what a try before has done is found and not
done twice. What a failed run loaded is published by the next one, which catch_up_dag starts if nothing else does.

**When it fails** the last publication stays in place; readers notice nothing but its age. Read the failed task's log:
it says what was expected, what came and what to do.

- `gate_raw`: the waiting batch is not plausible and nothing was loaded. `okr gate raw` judges it again. If the batch is
  right after all, start the DAG with `{"accept_raw_batch": true}`. While something that was loaded before is not
  published, a run publishes that, and only the next one fails here.
- `load`: the lake or the warehouse is away. It retries, and goes on at its watermark; then see `make status`. Skipped
  while a back-fill lands: the next run, which what has landed meanwhile has started, builds.
- `dbt`: a model or a constraint broke; the log names it. Fix it, then clear the task: it begins with empty schemas.
- `gate_marts`: the built marts break a rule. `okr gate marts` judges them again. If only plausibility rules broke and
  the data is right, start the DAG with `{"accept_marts_build": true}`.
- `publish`: it was refused: another run has built since (start the DAG again), or a publication was rolled back
  (`okr publication resume` once its cause is fixed). `okr publication list` shows what readers see.
- `document`: the dbt docs site was not renewed. Harmless for readers of the marts; clear the task. It is skipped where
  the site shows the project as it is.
"""

from datetime import timedelta

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, task

from dags.steps import dbt_tasks, etl
from dags.steps.assets import LANDED
from dags.steps.step_events import record_failure, record_success

with DAG(
    dag_id="okr_etl_dag",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 3 * * *", timezone="UTC", run_immediately=timedelta(0)), assets=[LANDED]
    ),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    tags=["okr", "etl"],
    params={
        "accept_raw_batch": Param(
            False, type="boolean", description="Load and publish the batch though it is not plausible."
        ),
        "accept_marts_build": Param(False, type="boolean", description="Publish though plausibility rules break."),
    },
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": timedelta(minutes=10),
        "on_success_callback": record_success,
        "on_failure_callback": record_failure,
    },
):
    loaded = task(etl.load)(task(etl.gate_raw)())
    built = dbt_tasks.build()
    published = task(etl.publish)(task(etl.gate_marts)(built.output))

    loaded >> built
    published >> task(dbt_tasks.document)()
