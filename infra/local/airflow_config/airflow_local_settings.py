"""Preload in the scheduler the modules that its tasks need. Airflow imports this module when it starts.

Tasks are forked from the scheduler, so a task then starts in half a second instead of six. Never preload deltalake,
duckdb, polars or mlflow. Their threads do not survive a fork, so a forked child that used them would hang or panic.
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
        "ingestion.contract_validation",
        "ingestion.loading",
        "ingestion.spool",
        "lakehouse.publishing.publication",
        "ml.champion",
        "pandas",
        "pgpq",
        "psycopg",
        "pyarrow.parquet",
    ),
    "dag-processor": ("cosmos", "cosmos.airflow.task_group"),
}


def preload(component: str) -> None:
    """Import the modules that a component's child processes use. The scheduler also parses the dbt project."""
    for module in PRELOADED.get(component, ()):
        importlib.import_module(module)
    if component == "scheduler":
        from dags.steps import dbt_manifest
        from expectations import gx_runner

        gx_runner.warm_up()
        dbt_manifest.parse()
    if component in PRELOADED:
        mask_secrets()


def mask_secrets() -> None:
    """Let Airflow mask the platform's secrets in the logs of tasks, which inherit this, as those of connections."""
    from airflow.sdk.log import mask_secret

    from lakehouse.log_records.redaction import MIN_SECRET_LENGTH, own_secrets

    for secret in own_secrets():
        if len(secret) >= MIN_SECRET_LENGTH:
            mask_secret(secret)


for argument in sys.argv:
    preload(argument)
