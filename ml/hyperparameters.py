"""How a model is made: every choice that training may vary, as plain numbers that a registry can hold."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """Defaults were compared on the second and third cycle of the real goals; the last two chose nothing.

    `thresholds` other required paces are asked of each row, up to `span` (signed log) around its pace of 7 days.
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
        """Return the hyperparameters as names and numbers."""
        return asdict(self)
