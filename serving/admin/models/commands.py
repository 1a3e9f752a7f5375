"""`okr model`: which version of a model serves."""

from typing import Annotated

import typer

from lakehouse.errors import PermanentError
from serving.auth.command_context import actor, auth_services

app = typer.Typer(no_args_is_help=True, help="Choose which version of a model serves requests.")


@app.command()
def load(
    reference: Annotated[str, typer.Argument(help="The number of a version, or the alias to follow.")] = "champion",
    model: Annotated[str, typer.Option(help="The name of the model.")] = "okr_key_result_forecast",
) -> None:
    """Make all workers of all hosts serve a version or follow an alias. Exits with status 1 if a worker does not."""
    from lakehouse.settings import load_settings
    from serving.admin.changes import Changes
    from serving.admin.models.service import ModelOperations
    from serving.dag_runs.airflow import Airflow
    from serving.dag_runs.service import DagRuns
    from serving.models.catalog import discover
    from serving.models.loading import ModelLoading
    from serving.models.runtime import ModelRuntime
    from serving.workers.worker_registry import WorkerRegistry

    settings = load_settings()
    with auth_services() as (services, warehouse):
        catalog, changes = discover(), Changes(services.audit)
        runtime = ModelRuntime(settings, warehouse, catalog, WorkerRegistry(warehouse, settings.state))
        dag_runs = DagRuns(settings, Airflow(settings))
        models = ModelOperations(
            settings, warehouse, catalog, ModelLoading(warehouse, runtime), dag_runs=dag_runs, changes=changes
        )
        outcome = models.load(model, reference, actor())
    for worker in outcome.workers:
        state = worker["problem"] or "loaded"
        typer.echo(f"{worker['host']}\t{worker['process_id']}\t{state}")
    if not outcome.is_loaded:
        raise PermanentError(f"Not all workers serve {reference} yet; they keep trying. GET /models shows them.")
    typer.echo(f"{model}: {reference} serves on {len(outcome.workers)} workers.")
