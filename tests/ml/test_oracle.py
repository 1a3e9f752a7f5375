import pytest

from lakehouse.errors import PermanentError
from ml.evaluate import brier_score, calibration_error
from ml.oracle import true_probabilities
from ml.pacing import pacing
from ml.rows import Rows
from ml.split import labelled


def test_the_simulators_own_probabilities_are_calibrated_and_beat_the_rule(history: Rows) -> None:
    rows = history.take(labelled(history) & (history["as_of_kind"] == "check_in"))
    best = true_probabilities(rows, 7, "small")
    assert calibration_error(rows.outcomes(), best) < 0.05
    assert brier_score(rows.outcomes(), best) < 0.5 * brier_score(rows.outcomes(), pacing(rows))


def test_another_simulation_is_refused(history: Rows) -> None:
    with pytest.raises(PermanentError, match="is not of the simulation small/8"):
        true_probabilities(history, 8, "small")
