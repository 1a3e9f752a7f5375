"""The latent progress: its true probability is calibrated and better than a pacing rule."""

from datetime import date
from random import Random
from statistics import fmean

import pytest

from ingestion.sources.simulator import SCALES, organisation
from ingestion.sources.simulator.latent_progress import PROFILES, Process, draw, true_probability
from ingestion.sources.simulator.okrs import draw_okrs
from ingestion.sources.simulator.scale import quarter_of
from lakehouse.achieved_score import ACHIEVED_SCORE


@pytest.fixture(scope="module")
def processes() -> list[Process]:
    rng = Random(5)
    return [draw(rng, rng.gauss(0.83, 0.3), 91) for _ in range(3_000)]


@pytest.mark.parametrize("day", [7, 40, 75])
def test_the_true_probability_is_calibrated(processes: list[Process], day: int) -> None:
    outcomes = [(true_probability(process, day), process.path[-1] >= ACHIEVED_SCORE) for process in processes]
    for low in (0.0, 0.25, 0.5, 0.75):
        bin_ = [(p, y) for p, y in outcomes if low <= p < low + 0.25 or p == low + 0.25 == 1.0]
        assert fmean(p for p, _ in bin_) == pytest.approx(fmean(y for _, y in bin_), abs=0.06)


def test_the_true_probability_beats_pacing_by_far(processes: list[Process]) -> None:
    truth, pacing = [], []
    for process in processes:
        is_achieved = process.path[-1] >= ACHIEVED_SCORE
        truth.append((true_probability(process, 40) - is_achieved) ** 2)
        pacing.append(((process.path[40] / (40 / 91) >= ACHIEVED_SCORE) - is_achieved) ** 2)
    assert fmean(truth) < 0.6 * fmean(pacing)


def test_on_the_last_day_the_true_probability_is_the_outcome(processes: list[Process]) -> None:
    assert all(true_probability(process, 91) == (process.path[-1] >= ACHIEVED_SCORE) for process in processes)


def test_an_abandoned_key_result_never_moves_again(processes: list[Process]) -> None:
    abandoned = [process for process in processes if process.abandoned_day is not None]
    assert 0.04 < len(abandoned) / len(processes) < 0.14
    for process in abandoned:
        assert len(set(process.path[process.abandoned_day :])) == 1


@pytest.mark.parametrize("profile", [profile for _, profile in PROFILES])
def test_every_profile_rises_from_0_to_1(profile) -> None:
    shares = [profile(day / 91) for day in range(92)]
    assert (shares[0], shares[-1]) == (0.0, pytest.approx(1.0))
    assert shares == sorted(shares)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_half_to_two_thirds_of_key_results_are_achieved(seed: int) -> None:
    simulated = organisation(seed, SCALES["default"])
    finals = [
        key_result.process.path[-1]
        for quarter in (1, 4, 7, 10)
        for key_result in draw_okrs(simulated, quarter_of(date(2025, quarter, 1)))[1]
    ]
    assert 0.5 < fmean(final >= ACHIEVED_SCORE for final in finals) < 0.68
    assert 0.1 < fmean(final > 1.0 for final in finals) < 0.4
    assert any(final < 0.0 for final in finals)
