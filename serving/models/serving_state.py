"""What one worker serves of one model. The state is replaced as a whole, so each request sees a consistent state."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.experiments.experiment import Experiment
from serving.models.control import Directive
from serving.models.loaded_version import LoadedVersion, rule_of
from serving.models.served_model import ServedModel


@dataclass(frozen=True)
class ServingState:
    """What one worker serves of one model.

    `active` predicts outside of experiments; it is None if no version is loaded and the model has no rule. `problem`
    says why the version that should serve does not, and `why` contains the error for operators. `arms` contains the
    loaded version of each arm of the experiment.
    """

    directive: Directive
    active: LoadedVersion | None
    problem: str | None
    why: str | None = None
    experiment: Experiment | None = None
    arms: Mapping[str, LoadedVersion] = field(default_factory=dict)

    @property
    def versions(self) -> list[LoadedVersion]:
        """All loaded versions, each once."""
        loaded = [*([] if self.active is None else [self.active]), *self.arms.values()]
        return list({version.key: version for version in reversed(loaded)}.values())[::-1]


def first_state(model: ServedModel) -> ServingState:
    """Return the state before the first look-up."""
    return ServingState(Directive(model.name), rule_of(model), "The champion has not been looked up yet.")
