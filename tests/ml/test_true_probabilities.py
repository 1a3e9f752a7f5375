"""The simulator's true probabilities, and how they are compared with the champion's through a CSV file."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ingestion.sources.simulator import organisation, scale_of
from ingestion.sources.simulator.true_probabilities import true_probabilities, write_true_probabilities
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from ml.backtest import backtest
from ml.champion_evaluation import evaluate_champion
from ml.feature_rows import Rows
from ml.forecast_csv import read_probabilities, write_forecasts
from ml.forecast_scores import brier_score, calibration_error
from ml.hyperparameters import Hyperparameters
from ml.pacing_rule import pacing_probability
from ml.promotion_gate import held_out, promote_if_better
from ml.train import train_and_register
from ml.train_test_split import labelled


def test_true_probabilities_are_calibrated_and_beat_the_pacing_rule(history: Rows) -> None:
    rows = history.take(labelled(history) & (history["as_of_kind"] == "check_in"))
    moments = zip(rows["key_result"], rows["as_of"], strict=True)
    best = np.array(true_probabilities(organisation(7, scale_of("small")), moments))
    assert calibration_error(rows.outcomes(), best) < 0.05
    assert brier_score(rows.outcomes(), best) < 0.5 * brier_score(rows.outcomes(), pacing_probability(rows))


def test_key_results_of_another_simulation_are_rejected(history: Rows) -> None:
    moments = zip(history["key_result"][:1], history["known_at"][:1], strict=True)
    with pytest.raises(PermanentError, match="does not belong to this simulation"):
        true_probabilities(organisation(8, scale_of("small")), moments)


@pytest.fixture
def forecasts(history: Rows, hyperparameters: Hyperparameters, tmp_path: Path) -> Path:
    file = tmp_path / "forecasts.csv"
    write_forecasts(backtest(history, hyperparameters), file)
    return file


def test_the_champion_is_compared_with_the_true_probabilities(
    settings: Settings, hyperparameters: Hyperparameters, forecasts: Path, tmp_path: Path
) -> None:
    best = tmp_path / "best_possible.csv"
    command = [str(Path(sys.executable).with_name("okr")), "simulation-probabilities", str(forecasts)]
    command += ["--out", str(best), "--seed", "7", "--scale", "small"]
    done = subprocess.run(
        command, env=os.environ | {"OKR_STATE": str(tmp_path)}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"probabilities written to {best}." in done.stdout
    train_and_register(settings, hyperparameters)
    assert promote_if_better(settings).outcome == "promoted"
    report = evaluate_champion(settings, best)
    assert report.brier("best_possible") < report.brier("model")


def test_the_backtest_s_own_forecasts_are_read_as_they_were_written(forecasts: Path, history: Rows) -> None:
    _, test = held_out(history)
    with forecasts.open(encoding="utf-8", newline="") as file:
        written = {(line["key_result_id"], line["as_of"]): float(line["probability"]) for line in csv.DictReader(file)}
    assert set(read_probabilities(forecasts, test)) <= set(written.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key_result_id,as_of,probability\n", "lacks .* of the .* check-ins of the held-out cycle"),
        ("key_result_id,as_of\nkr,2026-01-01T00:00:00Z\n", "cannot be read.*Expected CSV with the columns"),
        ("key_result_id,as_of,probability\nkr,yesterday,0.5\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_compared_is_reported_with_the_columns_it_needs(
    history: Rows, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "other.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PermanentError, match=message):
        read_probabilities(file, held_out(history)[1])


def test_probabilities_beyond_1_are_rejected(history: Rows, forecasts: Path) -> None:
    text = forecasts.read_text(encoding="utf-8").splitlines()
    percent = [",".join((*line.split(",")[:2], "50")) for line in text[1:]]
    forecasts.write_text("\n".join(["key_result_id,as_of,probability", *percent]), encoding="utf-8")
    with pytest.raises(PermanentError, match="not between 0 and 1"):
        read_probabilities(forecasts, held_out(history)[1])


def test_forecasts_without_the_needed_columns_get_no_true_probabilities(tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("id\n1\n", encoding="utf-8")
    with pytest.raises(PermanentError, match="Expected CSV with the columns key_result_id, as_of"):
        write_true_probabilities(organisation(7, scale_of("small")), file, tmp_path / "out.csv")
