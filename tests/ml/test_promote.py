from dataclasses import replace

import numpy as np
import pytest

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from ml import registry
from ml.boosted import Boosted
from ml.logistic import Logistic
from ml.model import ForecastModel
from ml.owner import UNHEARD
from ml.pipeline import Trained, evaluate_champion, train, train_and_register
from ml.promote import held_out, judge, promote_if_better
from ml.recipe import Recipe
from ml.rows import Rows
from ml.split import periods_of
from ml.train import NothingToLearn


@pytest.fixture(scope="module")
def trained(history: Rows, recipe: Recipe) -> Trained:
    return train(history, recipe)


class Flat(Boosted):
    """Trees that know nothing."""

    def margins(self, matrix: np.ndarray) -> np.ndarray:
        return np.zeros(len(matrix))


def ignorant(model: ForecastModel, log_odds: float) -> ForecastModel:
    """The model with its knowledge taken away: always the same probability."""
    nothing = Logistic((0.0,) * 4, 2 * log_odds, (0.0,) * 4)
    return replace(model, trees=Flat(b""), logistic=nothing, owner=UNHEARD, version="9")


def test_a_model_better_than_rule_and_champion_is_promoted(trained: Trained, history: Rows) -> None:
    decision = judge(trained.judged, None, history)
    assert (decision.outcome, decision.answers) == ("promoted", "model")
    assert decision.candidate_brier == pytest.approx(trained.report.brier("model"))
    assert decision.pacing_brier == pytest.approx(trained.report.brier("pacing_rule"))
    assert decision.rows == trained.report.rows


def test_the_same_model_again_does_not_replace_the_champion(trained: Trained, history: Rows) -> None:
    decision = judge(trained.judged, trained.judged, history)
    assert (decision.outcome, decision.answers) == ("kept", "model")


def test_a_model_worse_than_the_rule_is_refused_and_the_rule_answers(trained: Trained, history: Rows) -> None:
    decision = judge(ignorant(trained.judged, 5.0), None, history)
    assert (decision.outcome, decision.answers) == ("refused", "pacing_rule")
    assert "does not beat the pacing rule" in decision.reason


def test_a_champion_that_no_longer_beats_the_rule_is_withdrawn(trained: Trained, history: Rows) -> None:
    worse = ignorant(trained.judged, 5.0)
    decision = judge(worse, worse, history)
    assert (decision.outcome, decision.answers) == ("withdrawn", "pacing_rule")


def test_a_model_that_saw_the_judging_cycle_is_not_judged_on_it(trained: Trained, history: Rows) -> None:
    with pytest.raises(PermanentError, match="cannot be evaluated"):
        judge(trained.served, None, history)


def test_without_a_check_in_to_judge_by_nobody_is_withdrawn(trained: Trained, history: Rows) -> None:
    kinds = np.full(len(history), None, dtype=object)  # as of key results that closed without any check-in
    with pytest.raises(NothingToLearn, match=r"No closed cycle.*has a labelled check-in, so nothing can be evaluated"):
        judge(trained.judged, trained.judged, Rows({**history.columns, "as_of_kind": kinds}))


def test_where_the_newest_cycle_has_no_check_in_no_model_is_evaluated_on_what_it_learned_from(
    trained: Trained, history: Rows
) -> None:
    period, _ = held_out(history)
    kinds = history["as_of_kind"].copy()
    kinds[periods_of(history) == period] = None
    silent = Rows({**history.columns, "as_of_kind": kinds})
    assert held_out(silent)[0] < period
    with pytest.raises(PermanentError, match="learned from cycles until"):
        judge(trained.judged, None, silent)


def test_a_champion_that_learned_from_the_held_out_cycle_stops_no_training(trained: Trained, history: Rows) -> None:
    """A late check-in may make an earlier cycle the one to evaluate on."""
    decision = judge(trained.judged, trained.served, history)
    assert (decision.outcome, decision.answers) == ("promoted", "model")
    assert "champion none" in decision.reason


def test_without_a_champion_evaluate_says_that_the_rule_answers(settings: Settings) -> None:
    with pytest.raises(PermanentError, match="No model is champion: the pacing rule answers"):
        evaluate_champion(settings)


def test_training_promoting_and_training_again(settings: Settings, recipe: Recipe) -> None:
    first = train_and_register(settings, recipe)
    assert (first.version, first.publication_id) == ("1", 1)
    assert registry.resolve(settings, "challenger") == "1"
    assert registry.resolve(settings, "champion") is None
    assert promote_if_better(settings).outcome == "promoted"
    assert registry.load(settings).version == "1"
    cleared = promote_if_better(settings, "1")
    assert (cleared.outcome, cleared.answers) == ("kept", "model")
    assert "It is champion already" in cleared.reason

    again = train_and_register(settings, recipe)
    assert (again.version, again.sha256) == ("2", first.sha256)
    assert promote_if_better(settings).outcome == "kept"
    assert registry.resolve(settings, "champion") == "1"
    assert evaluate_champion(settings).figures == first.report.figures
    assert evaluate_champion(settings, ("small", 7)).brier("best_possible") < first.report.brier("model")


def test_a_model_that_was_rolled_back_is_not_promoted_again(settings: Settings, recipe: Recipe) -> None:
    weak = train_and_register(settings, replace(recipe, rounds=1, depth=1)).version
    assert promote_if_better(settings).outcome == "promoted"
    strong = train_and_register(settings, replace(recipe, rounds=40)).version
    assert promote_if_better(settings).outcome == "promoted"
    assert registry.rollback(settings) == weak
    again = promote_if_better(settings, strong)
    assert (again.outcome, again.answers) == ("kept", "model")
    assert "rolled this very model back" in again.reason
    assert registry.resolve(settings, "champion") == weak
