"""Re-evaluate the champion on the held-out cycle, using the current feature mart."""

from dataclasses import replace
from pathlib import Path

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml import model_registry
from ml.champion import champion_version
from ml.evaluation import Report, evaluate
from ml.feature_mart import read_history
from ml.fit_model import check_outcomes
from ml.forecast_csv import read_probabilities
from ml.forecast_scores import scores
from ml.promotion_gate import held_out
from ml.train import trainable_periods
from ml.train_test_split import split_at


def evaluate_champion(settings: Settings, other_forecasts: Path | None = None) -> Report:
    """Return the scores of the champion's `evaluated` model and of any other forecasts for the same check-ins.

    `other_forecasts` is a CSV file with the columns key_result_id, as_of and probability. In the report, its scores
    are named after the file, without its extension.

    Raises:
        InsufficientData: too few key results have closed to train or evaluate a champion.
        PermanentError: there is no champion, it was trained on the held-out cycle, or the file lacks a forecast.
    """
    with connect(settings.require("dsn_serving"), application="okr-forecast") as connection:
        history = read_history(connection)
    period, test = held_out(history)
    version = champion_version(settings)
    if version is None:
        check_outcomes(history.take(split_at(history, trainable_periods(history)[-1]).train))
        raise PermanentError(
            "There is no champion, so the prior serves forecasts. "
            "Run `okr forecast train`, then `okr forecast promote`."
        )
    model = model_registry.load(settings, version, "evaluated")
    if model.trained_until > str(period.start):
        raise PermanentError(
            f"The champion was trained on the held-out cycle ({period}). Train again: `okr forecast train`."
        )
    report = evaluate(model, test, history.take(split_at(history, period).train))
    if other_forecasts is None:
        return report
    other = scores(test.outcomes(), read_probabilities(other_forecasts, test))
    return replace(report, figures={**report.figures, other_forecasts.stem: other})
