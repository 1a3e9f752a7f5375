"""Forecasts of real goals, compared with simple rivals: `okr forecast benchmark` on the domains in OKR_SHARED.

The referee in OKR_SHARED checks that each file of forecasts is complete.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.forecast_benchmark.forecasters import FORECASTERS, MODEL
from infra.forecast_benchmark.report import Scores, cells, means
from infra.forecast_benchmark.run import Results, run
from tests.figures import report

SHARED = Path(os.environ.get("OKR_SHARED") or Path(__file__).parents[3] / "shared").absolute()
FOLDERS = [*sorted(path.parent for path in SHARED.glob("data/*/*/key_results.csv")), SHARED / "data" / "us_states"]
REFEREE = SHARED / "referee" / "score_forecasts.py"
LIMIT_SECONDS = 600.0 / 7  # per domain
RIVALS = [name for name in FORECASTERS if name != MODEL]
pytestmark = [
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(not REFEREE.exists(), reason="the real goals are in OKR_SHARED, which is not published"),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the results."""
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def results(out: Path) -> Results:
    """The scores, which must be there within ten minutes for seven domains."""
    started = time.monotonic()
    results = run(FOLDERS, out, print)
    seconds = time.monotonic() - started
    report_scores("last two closed cycles", results.last)
    report_scores("cycles from the second on", results.every)
    assert seconds < LIMIT_SECONDS * len(FOLDERS)
    return results


def report_scores(cycles: str, scores: Scores) -> None:
    brier = [
        (domain, *(f"{of_domain[name].brier:.4f}" for name in FORECASTERS)) for domain, of_domain in scores.items()
    ]
    mean = means(scores)
    report(f"Brier score, {cycles}", ("domain", *FORECASTERS), brier)
    header = ("forecast", "check-ins", "Brier", "log loss", "ECE", "coverage", "width")
    report(f"Mean over the domains, {cycles}", header, [(name, *cells(score)) for name, score in mean.items()])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("cycles", ["", "last_two_cycles"], ids=["all cycles", "last two cycles"])
def test_the_referee_accepts_every_file(results: Results, out: Path, folder: Path, cycles: str) -> None:
    command = [sys.executable, REFEREE, out / cycles / f"{folder.name}.csv", folder, "--boot", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert " 0 forecasts missing" in done.stdout


@pytest.mark.parametrize("rival", RIVALS)
def test_the_model_has_a_better_mean_than_each_rival(results: Results, rival: str) -> None:
    mean = means(results.last)
    assert mean[MODEL].brier < mean[rival].brier
