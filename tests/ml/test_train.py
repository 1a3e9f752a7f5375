import numpy as np
import pytest

from ml.design_matrix import BOOSTED, boosted_matrix
from ml.feature_mart import PACE_RATIOS
from ml.feature_rows import Rows
from ml.fit_model import InsufficientData, fit
from ml.forecast_model import ForecastModel
from ml.forecast_scores import brier_score
from ml.hyperparameters import Hyperparameters
from ml.model_registry import digest
from ml.pace_transform import pace_of
from ml.pacing_rule import pacing_probability
from ml.threshold_augmentation import augment
from ml.train import train
from ml.train_test_split import closed_periods, everything_closed, labelled, split_at


@pytest.fixture(scope="module")
def learned(history: Rows) -> Rows:
    return history.take(split_at(history, closed_periods(history)[-1]).train)


@pytest.fixture(scope="module")
def model(learned: Rows, hyperparameters: Hyperparameters) -> ForecastModel:
    return fit(learned, hyperparameters)


@pytest.fixture(scope="module")
def held_out(history: Rows) -> Rows:
    return history.take(split_at(history, closed_periods(history)[-1]).test & labelled(history))


def test_the_same_rows_and_seed_give_the_same_bytes(
    learned: Rows, model: ForecastModel, hyperparameters: Hyperparameters
) -> None:
    assert digest(fit(learned, hyperparameters)) == digest(model)


def test_another_seed_gives_another_model(learned: Rows, model: ForecastModel) -> None:
    assert digest(fit(learned, Hyperparameters(rounds=20, thresholds=5, seed=1))) != digest(model)


def test_the_model_beats_the_pacing_rule_on_the_held_out_cycle(model: ForecastModel, held_out: Rows) -> None:
    outcome = held_out.outcomes()
    assert brier_score(outcome, model.probabilities(held_out)) < 0.7 * brier_score(
        outcome, pacing_probability(held_out)
    )


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


def test_each_threshold_is_labelled_by_the_final_progress(learned: Rows) -> None:
    rows = learned.take(learned["as_of_kind"] == "check_in")
    augmented = augment(rows, thresholds=11, span=1.5)
    assert len(augmented.label) == 12 * len(rows)
    own = augmented.label[: len(rows)]
    assert (own == rows.outcomes()).all()
    required = pace_of(rows.numbers("log_required_pace")[augmented.row] + augmented.shift)
    goal = rows.numbers("progress_ratio")[augmented.row] + required * rows.numbers("remaining_ratio")[augmented.row]
    other = np.arange(len(augmented.row)) >= len(rows)
    assert (augmented.label[other] == (rows.numbers("final_progress")[augmented.row] >= goal - 1e-9)[other]).all()
    assert 0.3 < augmented.label.mean() < 0.7


def test_rows_with_only_one_outcome_are_rejected(learned: Rows, hyperparameters: Hyperparameters) -> None:
    lost = learned.take(~learned["is_achieved"].astype(bool))
    with pytest.raises(InsufficientData, match=r"have the same outcome \(none achieved\).*prior serves"):
        fit(lost, hyperparameters)


def test_too_few_key_results_are_rejected(learned: Rows, hyperparameters: Hyperparameters) -> None:
    some = learned.take(np.isin(learned["key_result"].astype(str), sorted(set(learned["key_result"]))[:10]))
    with pytest.raises(InsufficientData, match="at least 20 closed key results"):
        fit(some, hyperparameters)


def test_a_single_closed_cycle_is_rejected(history: Rows, hyperparameters: Hyperparameters) -> None:
    first = closed_periods(history)[0]
    with pytest.raises(InsufficientData, match=r"two closed cycles.*found 1"):
        train(history.take(history["period_end"] == first.end), hyperparameters)


def test_the_evaluated_model_never_saw_the_held_out_cycle(history: Rows, hyperparameters: Hyperparameters) -> None:
    trained = train(history, hyperparameters)
    assert trained.evaluated.trained_until <= str(trained.held_out.start)
    assert trained.served.trained_until == str(trained.held_out.end)
    periods = closed_periods(history)
    assert digest(trained.evaluated) == digest(
        fit(history.take(split_at(history, periods[-1]).train), trained.hyperparameters)
    )
    assert digest(trained.served) == digest(fit(history.take(everything_closed(history)), trained.hyperparameters))
    assert {"model", "pacing_rule", "prior", "base_rate", "owner_confidence"} <= set(trained.report.figures)
