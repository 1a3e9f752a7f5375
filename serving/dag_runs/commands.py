"""`okr dag`: Airflow's DAGs and their runs."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from serving.dag_runs.service import DagRuns, Run

app = typer.Typer(no_args_is_help=True, help="List, start and show runs of Airflow's DAGs.")
DagId = Annotated[str, typer.Argument(help="The id of the DAG, e.g. okr_etl_dag.")]


@app.command("list")
def list_dags() -> None:
    """List the DAGs, each with its newest run."""
    with _dag_runs() as dag_runs:
        for dag in dag_runs.dags(1):
            newest = _line(dag.runs[0]) if dag.runs else "no run yet"
            typer.echo(f"{dag.dag_id}\t{'paused' if dag.is_paused else dag.schedule or 'no schedule'}\t{newest}")


@app.command()
def runs(dag: DagId, limit: Annotated[int, typer.Option(min=1, max=100, help="Maximum number of runs.")] = 20) -> None:
    """List the newest runs of a DAG."""
    with _dag_runs() as dag_runs:
        for run in dag_runs.runs(dag, limit):
            typer.echo(_line(run))


@app.command()
def start(
    dag: DagId,
    conf: Annotated[str, typer.Option(help="Parameters as a JSON object, e.g. '{\"accept_raw_batch\": true}'.")] = "{}",
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="A key for this run. Repeating the command with this key starts no second run."),
    ] = None,
) -> None:
    """Start a run and print its id."""
    from serving.admin.changes import Changes
    from serving.admin.dag_runs.service import DagRunOperations
    from serving.auth.command_context import actor, auth_services

    values = _parsed(conf)
    with _dag_runs() as dag_runs, auth_services() as (services, _):
        operations = DagRunOperations(dag_runs, Changes(services.audit))
        started = operations.start(dag, values, actor(), idempotency_key)
    typer.echo(f"{'Started' if started.is_new else 'Already started:'} {started.run.run_id}")


@app.command()
def show(dag: DagId, run: Annotated[str, typer.Argument(help="The id of the run.")]) -> None:
    """Show the state of a run and its tasks, and why tasks have failed."""
    with _dag_runs() as dag_runs:
        watched = dag_runs.watch(dag, run)
    typer.echo(_line(watched.run))
    for task in watched.tasks:
        reason = f"\t{task.reason}" if task.reason else ""
        typer.echo(f"  {task.task_id}\t{task.state or 'not scheduled'}{reason}")


@contextmanager
def _dag_runs() -> "Iterator[DagRuns]":
    from lakehouse.settings import load_settings
    from serving.dag_runs.airflow import Airflow
    from serving.dag_runs.service import DagRuns

    settings = load_settings()
    with closing(DagRuns(settings, Airflow(settings))) as dag_runs:
        yield dag_runs


def _line(run: "Run") -> str:
    started = f"since {run.started_at:%Y-%m-%d %H:%M:%S}" if run.started_at else "not started"
    return f"{run.run_id}\t{run.state}\t{started}"


def _parsed(conf: str) -> dict[str, Any]:
    from lakehouse.errors import PermanentError

    try:
        values = json.loads(conf)
    except ValueError as error:
        raise PermanentError(f"--conf is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise PermanentError("--conf must be a JSON object.")
    return values
