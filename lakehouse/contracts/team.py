"""Contracts of events about teams."""

import msgspec

from lakehouse.contracts.fields import Id, Title
from lakehouse.contracts.registry import event


@event("okr.team.defined.v1", topic="okr_user_events", key="team_id")
class TeamDefined(msgspec.Struct, kw_only=True, frozen=True):
    """The full state of a team; the newest event applies."""

    team_id: Id
    organisation_id: Id
    name: Title


@event("okr.team.archived.v1", topic="okr_user_events", key="team_id")
class TeamArchived(msgspec.Struct, kw_only=True, frozen=True):
    """A team was dissolved; `successor_team_id` names the team that replaces it, if any."""

    team_id: Id
    successor_team_id: Id | None = None
