"""`okr experiment ...`: compare versions of a model with A/B tests and shadow arms."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from serving.auth.command_context import actor, auth_services

if TYPE_CHECKING:
    from serving.admin.experiments.service import ExperimentOperations
    from serving.experiments.experiment import Experiment
    from serving.experiments.service import Experiments

app = typer.Typer(no_args_is_help=True, help="Compare versions of a model with A/B tests and shadow arms.")
Name = Annotated[str, typer.Argument(help="Name of the experiment.")]
MaxLatency = Annotated[
    float,
    typer.Option(
        min=0,
        help="Stop an arm if over 5 % of its calls take longer than this many milliseconds. Batches of all forecasts "
        "count as calls, but are not timed. 0: no limit.",
    ),
]
MaxCalibrationGap = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Stop an arm if its mean probability and the share of achieved key results differ by more than this. "
        "0: no limit.",
    ),
]
MinCalls = Annotated[
    int,
    typer.Option(
        min=1,
        help="Minimum number of calls in the last 5 minutes. With fewer calls, neither --max-error-share nor "
        "--max-latency-ms stops an arm.",
    ),
]


@app.command("list")
def list_experiments() -> None:
    """List the experiments, newest first, with the recent calls of their arms."""
    with _experiments() as (experiments, _):
        found = experiments.all()
        for experiment in found:
            _print(experiments, experiment)
        if not found:
            typer.echo("There is no experiment. `okr experiment create --help` shows how to define one.")


@app.command()
def create(  # noqa: PLR0913, PLR0917 -- the fields of an experiment
    name: Name,
    arm: Annotated[
        list[str],
        typer.Option(
            help="name=version:share, such as new=challenger:0.5; the version is a number or an alias. Append :shadow "
            "for a shadow arm. Give the option once per arm."
        ),
    ],
    unit: Annotated[str, typer.Option(help="What is assigned to an arm: key_result, team or account.")] = "key_result",
    model: Annotated[str, typer.Option(help="Name of the model.")] = "okr_key_result_forecast",
    max_error_share: Annotated[
        float, typer.Option(min=0, max=1, help="Stop an arm if more than this share of its calls fails.")
    ] = 0.05,
    max_latency_ms: MaxLatency = 0,
    max_calibration_gap: MaxCalibrationGap = 0,
    min_calls: MinCalls = 20,
    salt: Annotated[str, typer.Option(help="Salt of the assignment; random by default.")] = "",
) -> None:
    """Define an experiment, without starting it."""
    from typing import get_args

    from lakehouse.errors import PermanentError
    from serving.experiments.experiment import Guardrails, Unit
    from serving.experiments.service import parsed_arm

    if unit not in get_args(Unit):
        raise PermanentError(f"Expected --unit to be one of {', '.join(get_args(Unit))}, got {unit!r}.")
    guardrails = Guardrails(
        max_error_share=max_error_share,
        max_latency_ms=max_latency_ms or None,
        min_calls=min_calls,
        max_calibration_gap=max_calibration_gap or None,
    )
    with _experiments() as (experiments, operations):
        created = operations.create(
            name,
            [parsed_arm(text) for text in arm],
            actor(),
            unit=unit,
            model_name=model,
            guardrails=guardrails,
            salt=salt or None,
        )
        _print(experiments, created)
    typer.echo(f"Run `okr experiment start {name}` to start it.")


@app.command()
def start(name: Name) -> None:
    """Start an experiment. Every worker applies it within about a second."""
    with _experiments() as (experiments, operations):
        _print(experiments, operations.start(name, actor()))


@app.command()
def stop(
    name: Name,
    reason: Annotated[str, typer.Option(help="The reason, recorded with the experiment.")] = "stopped by command",
) -> None:
    """Stop an experiment permanently. The active version predicts for all units again."""
    with _experiments() as (experiments, operations):
        _print(experiments, operations.stop(name, reason, actor()))


@contextmanager
def _experiments() -> "Iterator[tuple[Experiments, ExperimentOperations]]":
    from lakehouse.settings import load_settings
    from serving.admin.changes import Changes
    from serving.admin.experiments.service import ExperimentOperations
    from serving.experiments.service import Experiments
    from serving.models.catalog import discover

    with auth_services() as (services, warehouse):
        experiments = Experiments(load_settings(), warehouse, discover())
        yield experiments, ExperimentOperations(experiments, Changes(services.audit))


def _print(experiments: "Experiments", experiment: "Experiment") -> None:
    typer.echo(
        f"{experiment.name}: {experiment.state}, {experiment.model_name}, by {experiment.unit}, salt {experiment.salt}"
    )
    recent = {each.arm: each for each in experiments.recent_calls(experiment)}
    for arm in experiment.arms:
        counted = recent.get(arm.name)
        calls = f"{counted.calls} recent calls, {counted.failed_calls} failed" if counted else "no recent calls"
        kind = "shadow, share" if arm.is_shadow else "share"
        line = f"  {arm.name:20} {arm.reference:12} {kind} {arm.share:g}  {calls}"
        stopped = experiment.stopped_arms.get(arm.name)
        typer.echo(f"{line}  stopped: {stopped}" if stopped else line)
