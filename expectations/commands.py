"""`okr gate`: run a quality gate manually, as a pipeline run would."""

import json
import uuid
from typing import Annotated

import typer

from expectations.gate_decision import GateReport
from lakehouse.settings import load_settings

app = typer.Typer()
group = typer.Typer(
    no_args_is_help=True,
    help="Validate the waiting batch (raw) or the built marts (marts). Exits with status 1 on failure.",
)
app.add_typer(group, name="gate")

AsJson = Annotated[bool, typer.Option("--json", help="Print the whole report as JSON instead of the summary.")]


@group.command()
def raw(as_json: AsJson = False) -> None:
    """Validate the batch that has landed in the lake but has not been loaded yet."""
    from expectations.raw_gate import validate_waiting

    _show(validate_waiting(load_settings(), _run_id()).report, as_json)


@group.command()
def marts(as_json: AsJson = False) -> None:
    """Validate the marts that dbt has built but that have not been published yet."""
    from expectations.marts_gate import validate_build

    _show(validate_build(load_settings(), _run_id()), as_json)


def _run_id() -> str:
    return f"manual-{uuid.uuid4().hex[:12]}"


def _show(report: GateReport, as_json: bool) -> None:
    typer.echo(json.dumps(report.as_dict(), indent=2) if as_json else report.summary())
    if not report.passed:
        raise typer.Exit(1)
