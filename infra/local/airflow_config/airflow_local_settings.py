"""Imported by Airflow at start. In the scheduler it loads what our tasks use before they are forked from it.

A task then begins in half a second instead of six. Never load deltalake, polars or mlflow here: their threads do not
survive a fork, and a forked child that touches them hangs or panics.
"""

import importlib
import sys

PRELOADED = {
    "scheduler": (
        "cosmos",
        "cosmos.airflow.task_group",
        "dbt.cli.main",
        "dbt.adapters.postgres",
        "great_expectations",
        "pandas",
        "psycopg",
    ),
    "dag-processor": ("cosmos", "cosmos.airflow.task_group"),
}

for component, modules in PRELOADED.items():
    if component in sys.argv:
        for module in modules:
            importlib.import_module(module)
