"""Choose the versions that predict for a request: its arm's version, and the versions of shadow arms."""

from collections.abc import Mapping
from dataclasses import dataclass

from serving.experiments.experiment import Unit
from serving.models.loaded_version import LoadedVersion
from serving.models.serving_state import ServingState

UnitIds = Mapping[Unit, str | None]


@dataclass(frozen=True)
class Assigned:
    """A version with the experiment and arm for which it predicts; both are None outside of experiments."""

    version: LoadedVersion
    experiment: str | None = None
    arm: str | None = None


def predicting_arm(state: ServingState, units: UnitIds) -> Assigned | None:
    """Return the arm of a request, which is determined by the ids of its units, or None if it is in no arm.

    If this worker could not load the arm's version, the result is also None. The active version then predicts, and the
    prediction is attributed to no arm, because it would distort the comparison.
    """
    if state.experiment is None:
        return None
    arm = state.experiment.arm_of(units.get(state.experiment.unit))
    version = None if arm is None else state.arms.get(arm.name)
    return None if arm is None or version is None else Assigned(version, state.experiment.name, arm.name)


def shadow_arms(state: ServingState, units: UnitIds) -> list[Assigned]:
    """Return the shadow arms that also predict for a request."""
    if state.experiment is None:
        return []
    return [
        Assigned(state.arms[arm.name], state.experiment.name, arm.name)
        for arm in state.experiment.shadows_of(units.get(state.experiment.unit))
        if arm.name in state.arms
    ]
