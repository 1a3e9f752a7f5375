import numpy as np
import pytest

from ml.design import BOOSTED, boosted_matrix
from ml.evaluate import brier_score
from ml.features import PACE_RATIOS
from ml.model import ForecastModel
from ml.pace import pace_of
from ml.pacing import pacing
from ml.pipeline import train
from ml.recipe import Recipe
from ml.registry import digest
from ml.rows import Rows
from ml.split import closed_periods, everything_closed, labelled, split_at
from ml.thresholds import questions
from ml.train import NothingToLearn, fit


@pytest.fixture(scope="module")
def learned(history: Rows) -> Rows:
    return history.take(split_at(history, closed_periods(history)[-1]).train)


@pytest.fixture(scope="module")
def model(learned: Rows, recipe: Recipe) -> ForecastModel:
    return fit(learned, recipe)


@pytest.fixture(scope="module")
def held_out(history: Rows) -> Rows:
    return history.take(split_at(history, closed_periods(history)[-1]).test & labelled(history))


def test_the_same_rows_and_seed_give_the_same_bytes(learned: Rows, model: ForecastModel, recipe: Recipe) -> None:
    assert digest(fit(learned, recipe)) == digest(model)


def test_another_seed_gives_another_model(learned: Rows, model: ForecastModel) -> None:
    assert digest(fit(learned, Recipe(rounds=20, thresholds=5, seed=1))) != digest(model)


def test_the_model_beats_the_pacing_rule_on_the_held_out_cycle(model: ForecastModel, held_out: Rows) -> None:
    outcome = held_out.outcomes()
    assert brier_score(outcome, model.probabilities(held_out)) < 0.7 * brier_score(outcome, pacing(held_out))


@pytest.mark.parametrize("feature", PACE_RATIOS)
def test_a_higher_pace_never_lowers_the_probability(model: ForecastModel, held_out: Rows, feature: str) -> None:
    before = model.trees.margins(boosted_matrix(held_out))
    for step in (0.1, 1.0, 5.0):
        faster = boosted_matrix(held_out)
        faster[:, list(BOOSTED).index(feature)] += step
        after = model.trees.margins(faster)
        assert (after >= before - 1e-6).all()
        before = after


def test_more_confidence_never_lowers_the_probability(model: ForecastModel, held_out: Rows) -> None:
    def margins(confidence: float) -> np.ndarray:
        column = np.full(len(held_out), confidence, dtype=object)
        return model.margins(Rows({**held_out.columns, "confidence": column}))

    assert model.owner.confidence > 0
    assert (margins(0.9) > margins(0.2)).all()


def test_intervals_cover_the_held_out_scores(model: ForecastModel, held_out: Rows) -> None:
    low, high = model.intervals(held_out)
    scores = held_out.numbers("final_score")
    assert ((low >= 0) & (low <= high) & (high <= 1)).all()
    assert ((low - 1e-6 <= scores) & (scores <= high + 1e-6)).mean() > 0.8
    assert (high - low).mean() < 0.8


def test_each_threshold_is_answered_by_the_final_progress(learned: Rows) -> None:
    rows = learned.take(learned["as_of_kind"] == "check_in")
    asked = questions(rows, thresholds=11, span=1.5)
    assert len(asked.answer) == 12 * len(rows)
    own = asked.answer[: len(rows)]
    assert (own == rows.outcomes()).all()
    required = pace_of(rows.numbers("log_required_pace")[asked.row] + asked.shift)
    goal = rows.numbers("progress_ratio")[asked.row] + required * rows.numbers("remaining_ratio")[asked.row]
    other = np.arange(len(asked.row)) >= len(rows)
    assert (asked.answer[other] == (rows.numbers("final_progress")[asked.row] >= goal - 1e-9)[other]).all()
    assert 0.3 < asked.answer.mean() < 0.7


def test_one_outcome_only_is_refused(learned: Rows, recipe: Recipe) -> None:
    lost = learned.take(~learned["is_achieved"].astype(bool))
    with pytest.raises(NothingToLearn, match=r"ended alike \(none achieved\).*pacing rule answers"):
        fit(lost, recipe)


def test_too_few_key_results_are_refused(learned: Rows, recipe: Recipe) -> None:
    some = learned.take(np.isin(learned["key_result"].astype(str), sorted(set(learned["key_result"]))[:10]))
    with pytest.raises(NothingToLearn, match="at least 20 closed key results"):
        fit(some, recipe)


def test_one_closed_cycle_is_refused(history: Rows, recipe: Recipe) -> None:
    first = closed_periods(history)[0]
    with pytest.raises(NothingToLearn, match=r"two closed cycles.*found 1"):
        train(history.take(history["period_end"] == first.end), recipe)


def test_the_judged_model_never_saw_the_held_out_cycle(history: Rows, recipe: Recipe) -> None:
    trained = train(history, recipe)
    assert trained.judged.trained_until <= str(trained.held_out.start)
    assert trained.served.trained_until == str(trained.held_out.end)
    periods = closed_periods(history)
    assert digest(trained.judged) == digest(fit(history.take(split_at(history, periods[-1]).train), trained.recipe))
    assert digest(trained.served) == digest(fit(history.take(everything_closed(history)), trained.recipe))
    assert {"model", "pacing_rule", "base_rate", "owner_confidence"} <= set(trained.report.figures)
