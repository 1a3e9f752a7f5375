"""Training hyperparameters. Two models trained on the same data can differ only in these."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """The defaults were tuned on the second and third cycles of a real history. Its last two cycles were not used.

    Each training row is repeated at `thresholds` additional required paces, which differ from the row's 7-day pace by
    at most `span` (as signed logarithms).
    """

    rounds: int = 100
    depth: int = 3
    learning_rate: float = 0.05
    reg_lambda: float = 10.0
    min_child_weight: float = 20.0
    subsample: float = 0.8
    colsample: float = 0.8
    thresholds: int = 11
    span: float = 1.5
    logistic_strength: float = 1.0
    seed: int = 20_260_101

    def parameters(self) -> dict[str, float]:
        """Return the hyperparameters by name."""
        return asdict(self)
