"""Combine the two members of the forecast model, the pace model and the noise regression, as a mean of log-odds.

The weight of the noise regression comes from the log loss of both members in past cycles, each of which was forecast by
members that were fitted to what had closed before it. Without such cycles, both members count equally.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MAX_PACE_LOG_ODDS = 12.0  # the pace model's log-odds are clipped, so that it cannot outvote the noise regression
MAX_EXPONENT = 700.0  # above 709, math.exp would overflow; the weight is then 0
ROWS_PER_CYCLE = 20  # maximum weight of a cycle, because its key results share its drift


@dataclass(frozen=True)
class PastCycle:
    """The log-odds of both members for the check-ins of a past cycle, and their outcomes (1.0 or 0.0).

    `scale` is the scale of each final score, without the factor that is fitted to past cycles.
    """

    paces: "NDArray[float64]"
    noise: "NDArray[float64]"
    outcomes: "NDArray[float64]"
    scale: "NDArray[float64]"
    final_scores: "NDArray[float64]"


def blended(paces: "NDArray[float64]", noise: "NDArray[float64]", weight: float) -> "NDArray[float64]":
    """Return the mean of the log-odds of both members. `weight` (0-1) is the weight of the noise regression."""
    import numpy as np

    return weight * noise + (1.0 - weight) * np.clip(paces, -MAX_PACE_LOG_ODDS, MAX_PACE_LOG_ODDS)


def blended_contributions(
    paces: Mapping[str, "NDArray[float64]"], noise: Mapping[str, "NDArray[float64]"], weight: float
) -> dict[str, "NDArray[float64]"]:
    """Return the contributions of both members, by column and for `base`. They add up to the blended log-odds."""
    import numpy as np

    margins = np.sum(list(paces.values()), axis=0)
    share = (1.0 - weight) * MAX_PACE_LOG_ODDS / np.maximum(np.abs(margins), MAX_PACE_LOG_ODDS)
    contributions = {name: share * effect for name, effect in paces.items()}
    for name, effect in noise.items():
        contributions[name] = contributions.get(name, 0.0) + weight * effect
    return contributions


def blend_weight(past: Iterable[PastCycle]) -> float:
    """Return the weight of the noise regression, from 0 to 1, rounded to 6 digits."""
    import numpy as np

    advantage = 0.0
    for cycle in past:
        paces = np.clip(cycle.paces, -MAX_PACE_LOG_ODDS, MAX_PACE_LOG_ODDS)
        losses = [np.logaddexp(0.0, margins) - cycle.outcomes * margins for margins in (paces, cycle.noise)]
        rows = min(len(cycle.outcomes), ROWS_PER_CYCLE)
        advantage += rows * float(losses[0].mean() - losses[1].mean())
    return round(1.0 / (1.0 + math.exp(min(-advantage, MAX_EXPONENT))), 6)
