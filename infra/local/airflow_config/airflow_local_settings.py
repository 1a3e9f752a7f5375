"""Imported by Airflow at start. In the scheduler it loads what our tasks use before they are forked from it.

A task then begins in half a second instead of six. Never load deltalake, duckdb, polars or mlflow here: their threads
do not survive a fork, and a forked child that touches them hangs or panics.
"""

import importlib
import sys

PRELOADED = {
    "scheduler": (
        "cosmos",
        "cosmos.airflow.task_group",
        "cosmos.operators.local",
        "confluent_kafka",
        "dags.steps.etl",
        "dags.steps.dbt_tasks",
        "dags.steps.step_events",
        "dbt.cli.main",
        "dbt.adapters.postgres",
        "dbt.task.build",
        "expectations.marts_gate",
        "expectations.raw_gate",
        "great_expectations",
        "httpx",
        "ingestion.event_codec",
        "ingestion.loading",
        "ingestion.spool",
        "lakehouse.publication",
        "ml.champion",
        "pandas",
        "pgpq",
        "psycopg",
        "pyarrow.parquet",
    ),
    "dag-processor": ("cosmos", "cosmos.airflow.task_group"),
}


def preload(component: str) -> None:
    """Import what a component's children use; the scheduler's build with dbt, so it also parses the project."""
    for module in PRELOADED.get(component, ()):
        importlib.import_module(module)
    if component == "scheduler":
        from dags.steps import dbt_manifest
        from expectations import gx_runner

        gx_runner.warm_up()
        dbt_manifest.parse()


for argument in sys.argv:
    preload(argument)
