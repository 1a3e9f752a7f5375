"""The steps of model_training_dag and model_promotion_dag."""

from dags.steps.task_adapter import report_reason, report_rows, run_id, say, skip, skip_unless_published, step
from lakehouse.settings import load_settings


@step
def train() -> str:
    """Tune and train a model, evaluate it on a held-out cycle and register it as challenger; return its version.

    If an earlier try was killed after it had registered a version, this try completes that version.

    Raises:
        AirflowSkipException: too few key results are closed to train a model.
    """
    from ml.fit_model import InsufficientData
    from ml.train import train_and_register

    skip_unless_published()
    try:
        result = train_and_register(load_settings(), training=run_id())
    except InsufficientData as error:
        skip(str(error))
    report_rows(result.report.rows)
    say(
        f"Version {result.version} registered as challenger after {result.seconds:.1f} s. On the held-out cycle "
        f"({result.held_out}, {result.report.rows} check-ins): Brier {result.report.brier('model'):.4f}, "
        f"prior {result.report.brier('prior'):.4f}, pacing rule {result.report.brier('pacing_rule'):.4f}."
    )
    return result.version


@step
def promote(version: str) -> str:
    """Make the version the champion if it beats the prior and the current champion; return the outcome."""
    from ml.promotion_gate import promote_if_better

    decision = promote_if_better(load_settings(), version)
    report_rows(decision.rows)
    report_reason(decision.reason)
    serving = "the champion" if decision.serving == "model" else "the prior"
    say(f"Version {decision.version}, outcome '{decision.outcome}': {serving} serves forecasts. {decision.reason}")
    return decision.outcome
