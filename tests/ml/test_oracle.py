import pytest

from lakehouse.errors import PermanentError
from ml.evaluation import brier_score, calibration_error
from ml.feature_rows import Rows
from ml.oracle import true_probabilities
from ml.pacing_rule import pacing_probability
from ml.train_test_split import labelled


def test_the_simulators_own_probabilities_are_calibrated_and_beat_the_rule(history: Rows) -> None:
    rows = history.take(labelled(history) & (history["as_of_kind"] == "check_in"))
    best = true_probabilities(rows, 7, "small")
    assert calibration_error(rows.outcomes(), best) < 0.05
    assert brier_score(rows.outcomes(), best) < 0.5 * brier_score(rows.outcomes(), pacing_probability(rows))


def test_another_simulation_is_refused(history: Rows) -> None:
    with pytest.raises(PermanentError, match="is not of the simulation small/8"):
        true_probabilities(history, 8, "small")
