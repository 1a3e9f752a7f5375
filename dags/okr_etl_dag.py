"""Load landed events and publish the marts.

**Purpose**: load landed events from the lake, build the marts in schemas that readers do not see, validate them, and
publish them in one transaction. The DAG is started by landed events (asset `okr_user_events_landed`) and once a day.

**Owner**: data-platform

**Every task can be cleared at any time**, alone or with its downstream tasks. A new try does not repeat what an earlier
one has completed. If a run loads data and then fails, the next run publishes that data; catch_up_dag starts a run if
nothing else does.

**When it fails**, readers keep seeing the last publication. The log of the failed task says what was expected, what was
found and what to do.

- `gate_raw`: the waiting batch is implausible, and nothing was loaded. To check it again, run `okr gate raw`. If the
  batch is correct, run `okr dag start okr_etl_dag --conf '{"accept_raw_batch": true}'`. If data that was loaded earlier
  is still unpublished, the run publishes that data first, and only the next run fails here.
- `load`: the lake or the warehouse is unavailable (see `make status`). The task is retried and continues at its
  watermark. While a backfill is landing, the task loads the batch and is then marked as skipped, so the run ends. The
  newly landed events have already started the next run, which loads them and builds the marts.
- `dbt`: a model or a constraint failed; the task's log names it. Fix it and clear the task, which starts with empty
  schemas.
- `gate_marts`: the built marts break a rule. To check them again, run `okr gate marts`. If only plausibility rules
  failed and the data is correct, run `okr dag start okr_etl_dag --conf '{"accept_marts_build": true}'`.
- `publish`: the publication was rejected, either because another run has built the marts in the meantime (run `okr
  dag start okr_etl_dag`) or because of a rollback (run `okr publication resume` once its cause has been fixed).
  `okr publication list` shows what readers see.
- `document`: the dbt docs site was not updated. Readers of the marts are not affected. Clear the task. It is skipped if
  the site is up to date.
"""

from datetime import timedelta

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, task

from dags.steps import dbt_tasks, etl
from dags.steps.assets import LANDED
from dags.steps.step_events import CALLBACKS

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
            False, type="boolean", description="Load and publish the batch although it is implausible."
        ),
        "accept_marts_build": Param(False, type="boolean", description="Publish although plausibility rules fail."),
    },
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": timedelta(minutes=10),
        **CALLBACKS,
    },
):
    loaded = task(etl.load)(task(etl.gate_raw)())
    built = dbt_tasks.build()
    published = task(etl.publish)(task(etl.gate_marts)(built.output))

    loaded >> built
    published >> task(dbt_tasks.document)()
