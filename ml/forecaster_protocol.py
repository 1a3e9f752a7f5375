"""What a forecaster answers, whichever it is: a trained model or the pacing rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Forecast:
    """P(final score >= 0.7), bounds of the final score (0-1), and reasons in plain words, weightiest first."""

    probability: float
    low: float
    high: float
    reasons: tuple[str, ...]


class Forecaster(Protocol):
    """Answers feature rows. `role` is `model` or `pacing_rule`; `version` names the model in the registry."""

    @property
    def role(self) -> str:
        """Tell what answers."""
        ...

    @property
    def version(self) -> str:
        """Return the registry's version, or a fixed word for the rule."""
        ...

    def forecast(self, records: Sequence[Mapping[str, object]]) -> list[Forecast]:
        """Return one forecast per feature row, in their order.

        Raises:
            PermanentError: a row lacks a feature, or it is no finite number.
        """
        ...
