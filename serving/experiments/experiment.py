"""An experiment: which versions of a model predict for which share of the units."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lakehouse.contracts.fields import Id
from serving.experiments.arm_assignment import assigned_arm, unit_fraction

Unit = Literal["key_result", "team", "account"]
State = Literal["draft", "running", "stopped"]
Share = Annotated[float, Meta(gt=0.0, le=1.0)]
TOLERANCE = 1e-9  # sums of shares such as 0.1 + 0.2 + 0.7 may exceed 1 by rounding


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An arm: the version (by number, or by an alias to follow) that predicts for a share of the units.

    A shadow arm predicts in the background for its share of the units, and its predictions are never returned.
    """

    name: Id
    reference: Id
    share: Share
    is_shadow: bool = False


class Guardrails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits that stop an arm. None switches a limit off.

    `max_error_share` and `max_latency_ms` are checked over the last `window_minutes` if the arm had at least
    `min_calls` calls in that time. `max_error_share` is the largest share of failed calls. `max_latency_ms` limits the
    duration of a call: the arm is stopped if more than 5 % of its calls take longer. A batch of all forecasts counts as
    a call, but it is not timed, so it is never too slow.

    `max_calibration_gap` is the largest difference between the mean probability and the share of key results that were
    achieved. It is checked once at least `min_key_results` key results that the arm has forecast are closed.
    """

    max_error_share: Annotated[float, Meta(ge=0.0, le=1.0)] | None = 0.05
    max_latency_ms: Annotated[float, Meta(gt=0.0)] | None = None
    min_calls: Annotated[int, Meta(ge=1)] = 20
    window_minutes: Annotated[int, Meta(ge=1, le=1440)] = 5
    max_calibration_gap: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    min_key_results: Annotated[int, Meta(ge=1)] = 50


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment as stored in serving.experiment.

    `stopped_arms` maps the name of each arm that a guardrail stopped to the reason.
    """

    experiment_id: int
    name: Id
    model_name: Id
    unit: Unit
    salt: str
    arms: tuple[Arm, ...]
    guardrails: Guardrails
    state: State
    stopped_arms: dict[str, str]
    created_at: datetime
    created_by: str
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_reason: str | None = None

    @property
    def running_arms(self) -> tuple[Arm, ...]:
        """The arms that no guardrail has stopped."""
        return tuple(arm for arm in self.arms if arm.name not in self.stopped_arms)

    def arm_of(self, unit_id: str | None) -> Arm | None:
        """Return the arm that a unit is assigned to, or None if it is in no arm or its arm was stopped.

        Stopping an arm does not move units between the others.
        """
        arm = None if unit_id is None else assigned_arm(self.arms, self.salt, unit_id)
        return None if arm is None or arm.name in self.stopped_arms else arm

    def shadows_of(self, unit_id: str | None) -> list[Arm]:
        """Return the shadow arms that also predict for a unit. Each has its own, independent assignment."""
        if unit_id is None:
            return []
        return [
            arm
            for arm in self.running_arms
            if arm.is_shadow and unit_fraction(f"{self.salt}/{arm.name}", unit_id) < arm.share
        ]


def fault_of(arms: tuple[Arm, ...]) -> str | None:
    """Return why these arms cannot form an experiment, or None if they can."""
    names = [arm.name for arm in arms]
    if not arms:
        return "An experiment needs at least one arm."
    if len(set(names)) < len(names):
        return f"Each arm needs a unique name, got {', '.join(names)}."
    if (total := sum(arm.share for arm in arms if not arm.is_shadow)) > 1.0 + TOLERANCE:
        return f"The shares of the arms add up to {total:g}; at most 1 is possible (shadow arms are not counted)."
    return None
