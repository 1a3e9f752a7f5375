"""The interface of forecasters, implemented by the trained model and the prior."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec


class Forecast(msgspec.Struct, frozen=True):
    """P(final score >= 0.7), bounds of the final score (0-1), and reasons in plain language, strongest first.

    `contributions` are the effects of the features on `margin`, the log-odds of the probability. With the base value
    (`base`), they add up to it. Every forecast of a key result with check-ins has both.
    """

    probability: float
    low: float
    high: float
    reasons: tuple[str, ...]
    contributions: Mapping[str, float] = {}
    margin: float | None = None


class Forecaster(Protocol):
    """Forecasts key results from their feature rows."""

    @property
    def role(self) -> str:
        """Return `model` or `prior`."""
        ...

    @property
    def version(self) -> str:
        """Return the version number in the registry, or `prior`."""
        ...

    def forecast(self, records: Sequence[Mapping[str, object]]) -> list[Forecast]:
        """Return one forecast per feature row, in the same order.

        Raises:
            PermanentError: a feature of a row is missing or not a finite number.
        """
        ...
