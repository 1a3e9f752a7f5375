"""The latent process: its true probability is calibrated, and a pacing rule can be beaten."""

from datetime import date
from random import Random
from statistics import fmean

import pytest

from ingestion.sources.simulator import SCALES, organisation
from ingestion.sources.simulator.latent_progress import ACHIEVED, PROFILES, Process, draw, true_probability
from ingestion.sources.simulator.okrs import draw_okrs
from ingestion.sources.simulator.scale import quarter_of


@pytest.fixture(scope="module")
def fates() -> list[Process]:
    chance = Random(5)
    return [draw(chance, chance.gauss(0.83, 0.3), 91) for _ in range(3_000)]


@pytest.mark.parametrize("day", [7, 40, 75])
def test_the_true_probability_is_calibrated(fates: list[Process], day: int) -> None:
    told = [(true_probability(fate, day), fate.path[-1] >= ACHIEVED) for fate in fates]
    for low in (0.0, 0.25, 0.5, 0.75):
        bin_ = [(p, y) for p, y in told if low <= p < low + 0.25 or p == low + 0.25 == 1.0]
        assert fmean(p for p, _ in bin_) == pytest.approx(fmean(y for _, y in bin_), abs=0.06)


def test_the_true_probability_beats_pacing_by_far(fates: list[Process]) -> None:
    truth, pacing = [], []
    for fate in fates:
        is_achieved = fate.path[-1] >= ACHIEVED
        truth.append((true_probability(fate, 40) - is_achieved) ** 2)
        pacing.append(((fate.path[40] / (40 / 91) >= ACHIEVED) - is_achieved) ** 2)
    assert fmean(truth) < 0.6 * fmean(pacing)


def test_on_the_last_day_the_truth_is_the_outcome(fates: list[Process]) -> None:
    assert all(true_probability(fate, 91) == (fate.path[-1] >= ACHIEVED) for fate in fates)


def test_an_abandoned_key_result_never_moves_again(fates: list[Process]) -> None:
    abandoned = [fate for fate in fates if fate.abandoned_day is not None]
    assert 0.04 < len(abandoned) / len(fates) < 0.14
    for fate in abandoned:
        assert len(set(fate.path[fate.abandoned_day :])) == 1


@pytest.mark.parametrize("profile", [profile for _, profile in PROFILES])
def test_every_profile_rises_from_nothing_to_all(profile) -> None:
    shares = [profile(day / 91) for day in range(92)]
    assert (shares[0], shares[-1]) == (0.0, pytest.approx(1.0))
    assert shares == sorted(shares)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_half_to_two_thirds_are_achieved_and_some_by_far(seed: int) -> None:
    simulated = organisation(seed, SCALES["default"])
    finals = [
        key_result.process.path[-1]
        for quarter in (1, 4, 7, 10)
        for key_result in draw_okrs(simulated, quarter_of(date(2025, quarter, 1)))[1]
    ]
    assert 0.5 < fmean(final >= ACHIEVED for final in finals) < 0.68
    assert 0.1 < fmean(final > 1.0 for final in finals) < 0.4
    assert any(final < 0.0 for final in finals)
