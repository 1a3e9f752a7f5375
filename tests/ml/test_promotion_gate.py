from dataclasses import replace

import numpy as np
import pytest

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from ml import fit_model, model_registry
from ml.boosted_trees import BoostedTrees
from ml.champion import champion_version, rollback
from ml.champion_evaluation import evaluate_champion
from ml.feature_rows import Rows
from ml.fit_model import InsufficientData
from ml.forecast_model import ForecastModel
from ml.hyperparameters import Hyperparameters
from ml.logistic_regression import LogisticModel
from ml.owner_confidence import NO_WEIGHT
from ml.promotion_gate import decide, held_out, promote_if_better
from ml.train import TrainedModels, train, train_and_register
from ml.train_test_split import periods_of


@pytest.fixture(scope="module")
def trained(history: Rows, hyperparameters: Hyperparameters) -> TrainedModels:
    return train(history, hyperparameters)


class Flat(BoostedTrees):
    """Trees that predict even odds for every row."""

    def margins(self, matrix: np.ndarray) -> np.ndarray:
        return np.zeros(len(matrix))


def ignorant(model: ForecastModel, log_odds: float) -> ForecastModel:
    """A copy of the model that always predicts the same probability."""
    nothing = LogisticModel((0.0,) * 4, 2 * log_odds, (0.0,) * 4)
    return replace(model, trees=Flat(b""), logistic=nothing, weight=0.0, owner=NO_WEIGHT, version="9")


def test_a_model_better_than_rule_and_champion_is_promoted(trained: TrainedModels, history: Rows) -> None:
    decision = decide(trained.evaluated, None, history)
    assert (decision.outcome, decision.serving) == ("promoted", "model")
    assert decision.candidate_brier == pytest.approx(trained.report.brier("model"))
    assert decision.prior_brier == pytest.approx(trained.report.brier("prior"))
    assert decision.rows == trained.report.rows


def test_the_same_model_again_does_not_replace_the_champion(trained: TrainedModels, history: Rows) -> None:
    decision = decide(trained.evaluated, trained.evaluated, history)
    assert (decision.outcome, decision.serving) == ("kept", "model")


def test_a_model_worse_than_the_prior_is_rejected_and_the_prior_serves(trained: TrainedModels, history: Rows) -> None:
    decision = decide(ignorant(trained.evaluated, 5.0), None, history)
    assert (decision.outcome, decision.serving) == ("rejected", "prior")
    assert "does not beat the prior" in decision.reason


def test_a_champion_that_no_longer_beats_the_rule_is_withdrawn(trained: TrainedModels, history: Rows) -> None:
    worse = ignorant(trained.evaluated, 5.0)
    decision = decide(worse, worse, history)
    assert (decision.outcome, decision.serving) == ("withdrawn", "prior")


def test_a_model_that_learned_from_the_held_out_cycle_is_not_evaluated_on_it(
    trained: TrainedModels, history: Rows
) -> None:
    with pytest.raises(PermanentError, match="cannot be evaluated"):
        decide(trained.served, None, history)


def test_no_champion_is_withdrawn_without_a_check_in_to_evaluate_on(trained: TrainedModels, history: Rows) -> None:
    kinds = np.full(len(history), None, dtype=object)  # like key results that closed without a check-in
    with pytest.raises(InsufficientData, match=r"No closed cycle.*has a labelled check-in.*nothing can be evaluated"):
        decide(trained.evaluated, trained.evaluated, Rows({**history.columns, "as_of_kind": kinds}))


def test_no_model_is_evaluated_on_its_training_cycles_when_the_newest_cycle_has_no_check_in(
    trained: TrainedModels, history: Rows
) -> None:
    period, _ = held_out(history)
    kinds = history["as_of_kind"].copy()
    kinds[periods_of(history) == period] = None
    silent = Rows({**history.columns, "as_of_kind": kinds})
    assert held_out(silent)[0] < period
    with pytest.raises(PermanentError, match="was trained on cycles until"):
        decide(trained.evaluated, None, silent)


def test_a_champion_that_learned_from_the_held_out_cycle_does_not_block_promotion(
    trained: TrainedModels, history: Rows
) -> None:
    """A late check-in may make an earlier cycle the one to evaluate on."""
    decision = decide(trained.evaluated, trained.served, history)
    assert (decision.outcome, decision.serving) == ("promoted", "model")
    assert "champion none" in decision.reason


def test_evaluate_without_a_champion_says_that_the_prior_serves(settings: Settings) -> None:
    with pytest.raises(PermanentError, match="There is no champion, so the prior serves"):
        evaluate_champion(settings)


def test_retraining_on_the_same_data_does_not_replace_the_champion(
    settings: Settings, hyperparameters: Hyperparameters
) -> None:
    first = train_and_register(settings, hyperparameters)
    assert (first.version, first.publication_id) == ("1", 1)
    assert model_registry.resolve(settings, "challenger") == "1"
    assert champion_version(settings) is None
    assert promote_if_better(settings).outcome == "promoted"
    assert model_registry.load(settings, "champion").version == "1"
    cleared = promote_if_better(settings, "1")
    assert (cleared.outcome, cleared.serving) == ("kept", "model")
    assert "It is already the champion" in cleared.reason

    again = train_and_register(settings, hyperparameters)
    assert (again.version, again.sha256) == ("2", first.sha256)
    assert promote_if_better(settings).outcome == "kept"
    assert champion_version(settings) == "1"
    assert evaluate_champion(settings).figures == first.report.figures


def test_a_model_that_was_rolled_back_is_not_promoted_again(
    settings: Settings, hyperparameters: Hyperparameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fit_model, "blend_weight", lambda _past: 0.0)  # the trees alone
        weak = train_and_register(settings, replace(hyperparameters, rounds=1, depth=1)).version
    assert promote_if_better(settings).outcome == "promoted"
    strong = train_and_register(settings, replace(hyperparameters, rounds=40)).version
    assert promote_if_better(settings).outcome == "promoted"
    assert rollback(settings, weak)
    again = promote_if_better(settings, strong)
    assert (again.outcome, again.serving) == ("kept", "model")
    assert "was rolled back earlier" in again.reason
    assert champion_version(settings) == weak
