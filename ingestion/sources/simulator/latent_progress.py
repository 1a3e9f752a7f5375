"""Simulate the latent progress of key results, and compute the true probability of achieving them.

Progress x (0 at the baseline, 1 at the first target) starts at 0 on the cycle's first day and moves once a day:

    x[d] - x[d-1] = drift * (W(d/D) - W((d-1)/D)) + volatility / sqrt(D) * e,     e ~ N(0, 1), independent

where D is the number of days of the cycle. `drift` is the expected final progress: DRIFT + the team's skill + the
cycle's effect - the difficulty, where all terms but DRIFT are Gaussian. The profile W distributes the work over the
cycle. It rises from 0 to 1 (steadily, early, late, S-shaped, or with a stall). On day 14 and every seven days after
that, a key result is abandoned with probability ABANDON_PER_WEEK. From then on, its progress does not change.

The final progress of a key result that has progress x on day d and is never abandoned is Gaussian:

    x[D] ~ N(x + drift * (1 - W(d/D)), volatility^2 * (1 - d/D))

`true_probability` sums over the weeks in which the key result may be abandoned. It uses the drift and the profile.
Models do not know these, so no forecast can have a better expected score. A new target applies from the time when it is
set.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lakehouse.achieved_score import ACHIEVED_SCORE

DRIFT = 0.83
SKILL_SD = 0.15
CYCLE_SD = 0.07
DIFFICULTY_SD = 0.25
VOLATILITY = 0.17
ABANDON_PER_WEEK = 0.008

Profile = Callable[[float], float]


def _stall(begin: float, length: float) -> Profile:
    def spread(u: float) -> float:
        return (min(u, begin) + max(0.0, u - begin - length)) / (1.0 - length)

    return spread


PROFILES: tuple[tuple[float, Profile], ...] = (
    (0.26, lambda u: u),
    (0.24, lambda u: u * u * (3.0 - 2.0 * u)),
    (0.18, lambda u: u**1.9),
    (0.14, lambda u: 1.0 - (1.0 - u) ** 1.7),
    (0.10, _stall(0.15, 0.35)),
    (0.08, _stall(0.45, 0.35)),
)
"""The profiles W, each with the share of key results that have it."""


@dataclass(frozen=True)
class Process:
    """The progress of one key result. `path[d]` is its progress on day d; a cycle of D days has D + 1 values."""

    drift: float
    profile: Profile
    abandoned_day: int | None
    path: tuple[float, ...]

    @property
    def days(self) -> int:
        """The number of days (D) of the cycle."""
        return len(self.path) - 1

    def is_abandoned(self, day: int) -> bool:
        """Return whether the key result has been abandoned by that day."""
        return self.abandoned_day is not None and self.abandoned_day <= day


def draw(rng: Random, drift: float, days: int) -> Process:
    """Draw the progress of a key result over a cycle with that many days."""
    profile = rng.choices([p for _, p in PROFILES], [share for share, _ in PROFILES])[0]
    abandoned = next((d for d in range(14, days, 7) if rng.random() < ABANDON_PER_WEEK), None)
    path = [0.0]
    for day in range(1, days + 1):
        step = drift * (profile(day / days) - profile((day - 1) / days)) + rng.gauss(0.0, VOLATILITY / days**0.5)
        path.append(path[-1] + (0.0 if abandoned is not None and day > abandoned else step))
    return Process(drift, profile, abandoned, tuple(path))


def true_probability(process: Process, day: int, threshold: float = ACHIEVED_SCORE) -> float:
    """Return P(final progress >= threshold), given everything about the key result except its future random steps.

    `threshold` is relative to the first target. After a new target it is ACHIEVED_SCORE * new gain / first gain.
    """
    now = process.path[day]
    if process.is_abandoned(day) or day >= process.days:
        return 1.0 if now >= threshold else 0.0
    alive, total = 1.0, 0.0
    for week in range(14, process.days, 7):
        if week > day:
            total += alive * ABANDON_PER_WEEK * _probability_to_reach(process, now, day, week, threshold)
            alive *= 1.0 - ABANDON_PER_WEEK
    return total + alive * _probability_to_reach(process, now, day, process.days, threshold)


def _probability_to_reach(process: Process, now: float, day: int, until: int, threshold: float) -> float:
    share = process.profile(until / process.days) - process.profile(day / process.days)
    spread = VOLATILITY * ((until - day) / process.days) ** 0.5
    return 0.5 * math.erfc((threshold - now - process.drift * share) / spread / math.sqrt(2.0))
