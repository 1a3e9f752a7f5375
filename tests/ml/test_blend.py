"""The weight of the two members of the model follows from their past forecasts."""

import numpy as np
import pytest

from ml.blend import MAX_PACE_LOG_ODDS, PastCycle, blend_weight, blended, blended_contributions
from ml.fit_model import WEIGHED_PERIODS, fit
from ml.forecast_model import IncompatibleModel, load_model
from ml.hyperparameters import Hyperparameters
from ml.model_registry import digest
from tests.ml.made_up_rows import closed_cycles

FEW_ROUNDS = Hyperparameters(rounds=5, thresholds=3)
OUTCOMES = np.array([1.0, 0.0] * 50)
GOOD, BAD = 0.6 * (2.0 * OUTCOMES - 1.0), 0.5 * (2.0 * OUTCOMES - 1.0)


def past(paces: np.ndarray, noise: np.ndarray, outcomes: np.ndarray) -> PastCycle:
    return PastCycle(paces, noise, outcomes, scale=np.ones(len(outcomes)), final_scores=outcomes)


def test_without_past_cycles_both_members_count_equally() -> None:
    assert blend_weight([]) == 0.5


def test_the_member_with_the_lower_log_loss_gets_the_larger_weight_and_more_cycles_decide_more_clearly() -> None:
    one = blend_weight([past(BAD, GOOD, OUTCOMES)])
    assert 0.5 < one < blend_weight([past(BAD, GOOD, OUTCOMES)] * 2) <= 1.0
    assert blend_weight([past(GOOD, BAD, OUTCOMES)]) == pytest.approx(1.0 - one, abs=1e-6)
    assert blend_weight([past(1e3 * BAD, -1e6 * GOOD, OUTCOMES)] * 4) == 0.0


def test_a_cycle_counts_as_at_most_20_rows() -> None:
    small = blend_weight([past(BAD[:20], GOOD[:20], OUTCOMES[:20])])
    assert blend_weight([past(BAD, GOOD, OUTCOMES)]) == small
    assert blend_weight([past(BAD[:2], GOOD[:2], OUTCOMES[:2])]) < small


def test_contributions_of_clipped_paces_add_up_to_the_blended_log_odds() -> None:
    paces = {"log_pace_ratio_7d": np.array([30.0, -2.0, 0.0]), "base": np.array([1.0, 0.5, 0.0])}
    noise = {"log_pace_ratio_7d": np.array([0.3, 0.1, 0.0]), "season_ratio": np.array([1.0, -1.0, 0.0])}
    margins = blended(sum(paces.values()), sum(noise.values()), 0.4)
    contributions = blended_contributions(paces, noise, 0.4)
    assert np.sum(list(contributions.values()), axis=0) == pytest.approx(margins, abs=1e-12)
    assert margins[0] == pytest.approx(0.4 * 1.3 + 0.6 * MAX_PACE_LOG_ODDS)


def test_the_weight_is_fitted_to_forecasts_by_what_had_closed_before() -> None:
    assert fit(closed_cycles(40), FEW_ROUNDS).weight == 0.5  # nothing had closed before the only cycle
    weights = [fit(closed_cycles(*[40] * cycles), FEW_ROUNDS).weight for cycles in (2, 5)]
    assert 0.5 < weights[0] < weights[1]  # the outcomes are those that the prior describes


def test_a_cycle_with_too_little_data_before_it_does_not_count() -> None:
    assert fit(closed_cycles(10, 60), FEW_ROUNDS).weight == 0.5


def test_only_the_newest_cycles_are_forecast_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from ml import fit_model

    fitted, fit_paces = [], fit_model.fit_paces
    monkeypatch.setattr(fit_model, "fit_paces", lambda rows, h: (fitted.append(len(rows)), fit_paces(rows, h))[1])
    fit(closed_cycles(*[20] * (WEIGHED_PERIODS + 3)), FEW_ROUNDS)
    assert len(fitted) == WEIGHED_PERIODS + 1


def test_a_model_is_saved_and_loaded_without_loss(tmp_path) -> None:
    model = fit(closed_cycles(40, 40), FEW_ROUNDS)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert (loaded.noise, loaded.weight, loaded.scale_factor) == (model.noise, model.weight, model.scale_factor)
    assert model.scale_factor != 1.0
    assert digest(loaded) == digest(model)


def test_a_model_of_an_earlier_release_is_rejected_with_its_format(tmp_path) -> None:
    fit(closed_cycles(40), FEW_ROUNDS).save(tmp_path)
    file = tmp_path / "model.json"
    file.write_text(file.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(IncompatibleModel, match=r"in format 1. Expected format 2. Train again: `okr forecast train`"):
        load_model(tmp_path)
    file.write_text(file.read_text().replace('"format": 1', '"format": 2').replace('"season",', ""))
    with pytest.raises(IncompatibleModel, match="was trained on different features"):
        load_model(tmp_path)
