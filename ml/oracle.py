"""The best forecast that anything could make of a simulated organisation: the probability that its simulator knows."""

from datetime import datetime
from typing import TYPE_CHECKING

from ingestion.sources.simulator.latent_progress import true_probability
from ingestion.sources.simulator.okrs import KeyResult, draw_okrs
from ingestion.sources.simulator.scale import quarter_of, scale_of
from ingestion.sources.simulator.teams_and_users import organisation
from lakehouse.errors import PermanentError
from ml.feature_rows import Rows

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray


def true_probabilities(rows: Rows, seed: int, scale: str) -> "NDArray[float64]":
    """Return P(final score >= 0.7) of each row, as the simulation of that seed and scale drew it.

    Raises:
        PermanentError: a row's key result is not of that simulation.
    """
    import numpy as np

    simulated = organisation(seed, scale_of(scale))
    known: dict[str, KeyResult] = {}
    for start in sorted(set(rows["period_start"])):
        known.update((one.id, one) for one in draw_okrs(simulated, quarter_of(start))[1])
    strangers = sorted(set(rows["key_result"]) - set(known))
    if strangers:
        raise PermanentError(
            f"Key result {strangers[0]!r} is not of the simulation {scale}/{seed}, whose probabilities are known. "
            "Name the one that made this history, or none."
        )
    pairs = zip(rows["key_result"], rows["as_of"], strict=True)
    return np.array([_probability(known[key_result_id], as_of) for key_result_id, as_of in pairs], dtype=np.float64)


def _probability(key_result: KeyResult, as_of: datetime) -> float:
    day = min((as_of.date() - key_result.objective.cycle.start).days, key_result.process.days)
    return true_probability(key_result.process, day, key_result.threshold(as_of))
