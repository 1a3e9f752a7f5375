"""`okr forecast ...`: train, evaluate, promote and roll back models."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.errors import PermanentError
from lakehouse.number_format import percent

if TYPE_CHECKING:
    from ml.evaluation import Report
    from ml.promotion_gate import Decision

app = typer.Typer(
    no_args_is_help=True,
    name="forecast",
    help="Forecast key results: train, evaluate, backtest, promote, roll back and list models.",
)
Seed = Annotated[int | None, typer.Option(help="Random seed of the trees; the same seed gives the same model.")]


@app.command()
def train(seed: Seed = None) -> None:
    """Train a model on the published feature mart and register it as challenger."""
    from dataclasses import replace

    from lakehouse.operator_actions import recorded
    from lakehouse.settings import load_settings
    from ml.hyperparameters import Hyperparameters
    from ml.train import train_and_register

    base = Hyperparameters() if seed is None else replace(Hyperparameters(), seed=seed)
    with recorded("model.trained", "challenger") as details:
        result = train_and_register(load_settings(), base)
        details |= {"version": result.version, "seed": base.seed}
    typer.echo(
        f"Version {result.version} registered as challenger after {result.seconds:.1f} s; held out: {result.held_out}; "
        f"publication {result.publication_id}; sha256 {result.sha256[:16]}."
    )
    _print_report(result.report)
    typer.echo("Run `okr forecast promote` to make it the champion if it is better.")


@app.command()
def evaluate(
    compare: Annotated[
        Path | None, typer.Option(help="CSV of other forecasts to include: key_result_id, as_of, probability.")
    ] = None,
) -> None:
    """Compare the champion with simple forecasts, such as the pacing rule, on the held-out cycle."""
    from lakehouse.settings import load_settings
    from ml.champion_evaluation import evaluate_champion

    _print_report(evaluate_champion(load_settings(), compare))


@app.command()
def backtest(
    out: Annotated[Path, typer.Option(help="CSV to write: key_result_id, as_of, probability, low, high.")],
    cycles: Annotated[
        str | None, typer.Option(help="Comma-separated names of cycles; default: the last two closed cycles.")
    ] = None,
) -> None:
    """Forecast past cycles at each check-in. The model for a cycle is trained only on earlier cycles."""
    from lakehouse.settings import load_settings
    from lakehouse.warehouse import connect
    from ml.backtest import backtest as forecast_past_cycles
    from ml.feature_mart import read_history
    from ml.forecast_csv import write_forecasts
    from ml.hyperparameters import Hyperparameters

    with connect(load_settings().require("dsn_serving"), application="okr-forecast") as connection:
        history = read_history(connection)
    names = None if cycles is None else [name.strip() for name in cycles.split(",") if name.strip()]
    rows = write_forecasts(forecast_past_cycles(history, Hyperparameters(), names), out)
    typer.echo(f"{rows} forecasts written to {out}.")


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Alias or number of the version to evaluate.")] = "challenger",
) -> None:
    """Make a version the champion if it beats the prior and the current champion on the held-out cycle."""
    from lakehouse.operator_actions import recorded
    from lakehouse.settings import load_settings
    from ml.model_registry import MODEL_NAME
    from ml.promotion_gate import promote_if_better

    with recorded("model.promotion_evaluated", MODEL_NAME) as details:
        decision = promote_if_better(load_settings(), version)
        details |= {"version": decision.version, "outcome": decision.outcome}
    _print_decision(decision)


@app.command()
def rollback(
    to: Annotated[
        str, typer.Option(help="Version of the earlier champion. If omitted, earlier champions are listed.")
    ] = "",
) -> None:
    """Restore an earlier champion. Repeating the same rollback has no further effect."""
    from lakehouse.operator_actions import recorded
    from lakehouse.settings import load_settings
    from ml import champion
    from ml.model_registry import MODEL_NAME

    settings = load_settings()
    if to:
        with recorded("model.rolled_back", MODEL_NAME) as details:
            details["to"] = to
            details["is_changed"] = is_changed = champion.rollback(settings, to)
        typer.echo(f"Version {to} is the champion again." if is_changed else f"Version {to} is already the champion.")
        return
    known = champion.champions(settings)
    advice = (
        f"Earlier champions, newest first: {', '.join(known.earlier)}. "
        f"Run `okr forecast rollback --to {known.earlier[0]}`."
        if known.earlier
        else "There is no earlier champion to roll back to."
    )
    raise PermanentError(f"Nothing was changed: version {known.current} is the champion. {advice}")


@app.command()
def models() -> None:
    """List the registered versions of the model, newest first."""
    from lakehouse.settings import load_settings
    from ml import model_registry

    listed = model_registry.versions(load_settings())
    if not listed:
        typer.echo("No model is registered, so the prior serves forecasts. Run `okr forecast train` to train one.")
    for each in listed:
        brier, rule = (each.metrics.get(f"{name}_brier", float("nan")) for name in ("model", "prior"))
        typer.echo(
            f"{each.version:>4}  {each.created_at:%Y-%m-%d %H:%M:%S}Z  {','.join(each.aliases) or '-':20}  "
            f"held-out cycle {each.tags.get('held_out', '-')}  Brier {brier:.4f} (prior {rule:.4f})  "
            f"publication {each.tags.get('publication_id', '-')}  sha256 {each.tags.get('sha256', '')[:16]}"
        )


@app.command()
def golden(
    version: Annotated[str, typer.Argument(help="Number or alias of the version.")] = "champion",
) -> None:
    """Print the golden rows of a version with their outputs as JSON. `okr deploy` checks new releases with them.

    The outputs are null if the registry has none for this version, for example because the prior serves.
    """
    import json

    from lakehouse.settings import load_settings
    from ml import model_registry
    from ml.golden_rows import ROWS, TOLERANCE, read_golden_rows

    settings, tolerance = load_settings(), TOLERANCE
    documents: list[dict[str, object]] = [{"row": dict(row), "output": None} for row in ROWS]
    if model_registry.resolve(settings, version) is not None:
        folder = model_registry.fetch(settings, model_registry.MODEL_NAME, version, model_registry.SERVED).folder
        tolerance, golden = read_golden_rows(folder)
        documents = [{"row": row, "output": output} for row, output in golden] or documents
    typer.echo(json.dumps({"tolerance": tolerance, "golden_rows": documents}))


def _print_report(report: "Report") -> None:
    typer.echo(
        f"{report.rows} check-ins of {report.key_results} key results; "
        f"{percent(report.achieved, decimals=1)} of the check-ins belong to achieved key results.\n"
        f"{'':24}{'Brier':>8}{'log loss':>10}{'AUC':>8}{'ECE':>8}"
    )
    for name, figures in report.figures.items():
        typer.echo(
            f"{name:24}{figures['brier']:8.4f}{figures['log_loss']:10.4f}{figures['auc']:8.4f}{figures['ece']:8.4f}"
        )
    model_scores = report.figures["model"]
    typer.echo(
        f"Interval: coverage {model_scores['interval_coverage']:.3f}, width {model_scores['interval_width']:.3f}."
    )


def _print_decision(decision: "Decision") -> None:
    typer.echo(
        f"Version {decision.version}: {decision.outcome}. {decision.reason} Evaluated on {decision.rows} check-ins."
    )
    typer.echo("The champion serves forecasts." if decision.serving == "model" else "The prior serves forecasts.")
