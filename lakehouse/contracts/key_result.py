"""Contracts of events about key results."""

from typing import Literal

import msgspec

from lakehouse.contracts.fields import SMALLEST_GAIN, Id, Note, Title, Unit, Value, Weight
from lakehouse.contracts.registry import Personal, event


@event("okr.key_result.defined.v1", topic="okr_user_events", key="key_result_id")
class KeyResultDefined(msgspec.Struct, kw_only=True, frozen=True):
    """The full state of a key result; a later event with a different target changes the target.

    progress = (value - baseline) / (target - baseline). A metric that should fall has a target below its baseline.
    """

    key_result_id: Id
    objective_id: Id
    title: Title
    unit: Unit
    baseline: Value
    target: Value
    direction: Literal["increase", "decrease"]
    weight: Weight = 1.0
    owner_user_id: Id | None = None

    def __post_init__(self) -> None:
        gain = self.target - self.baseline
        if abs(gain) < SMALLEST_GAIN:
            raise ValueError(f"target must differ from baseline, got {self.target} for both")
        if (gain > 0) != (self.direction == "increase"):
            raise ValueError(
                f"direction {self.direction} contradicts baseline {self.baseline} and target {self.target}"
            )


@event(
    "okr.key_result.archived.v1", topic="okr_user_events", key="key_result_id",
    personal=Personal(("reason",), entity="key_result_id"),
)  # fmt: skip
class KeyResultArchived(msgspec.Struct, kw_only=True, frozen=True):
    """A key result was abandoned, merged or entered by mistake. It does not count as missed."""

    key_result_id: Id
    reason: Note | None = None
    user_id: Id | None = None
