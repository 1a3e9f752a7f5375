"""The interface of forecasters, implemented by the trained model and the pacing rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Forecast:
    """P(final score >= 0.7), bounds of the final score (0-1), and reasons in plain language, strongest first."""

    probability: float
    low: float
    high: float
    reasons: tuple[str, ...]


class Forecaster(Protocol):
    """Forecasts key results from their feature rows."""

    @property
    def role(self) -> str:
        """Return `model` or `pacing_rule`."""
        ...

    @property
    def version(self) -> str:
        """Return the version number in the registry, or `pacing_rule`."""
        ...

    def forecast(self, records: Sequence[Mapping[str, object]]) -> list[Forecast]:
        """Return one forecast per feature row, in the same order.

        Raises:
            PermanentError: a feature of a row is missing or not a finite number.
        """
        ...
