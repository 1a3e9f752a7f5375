"""Contracts of events about objectives."""

import msgspec

from lakehouse.contracts.fields import Id, Note, Title
from lakehouse.contracts.registry import Personal, event


@event("okr.objective.defined.v1", topic="okr_user_events", key="objective_id")
class ObjectiveDefined(msgspec.Struct, kw_only=True, frozen=True):
    """The full state of an objective, aligned with its parent if it has one; the newest event applies."""

    objective_id: Id
    team_id: Id
    cycle_id: Id
    title: Title
    parent_objective_id: Id | None = None
    owner_user_id: Id | None = None


@event(
    "okr.objective.archived.v1", topic="okr_user_events", key="objective_id",
    personal=Personal(("reason",), entity="objective_id"),
)  # fmt: skip
class ObjectiveArchived(msgspec.Struct, kw_only=True, frozen=True):
    """An objective and its key results were abandoned, merged or entered by mistake."""

    objective_id: Id
    reason: Note | None = None
    user_id: Id | None = None
