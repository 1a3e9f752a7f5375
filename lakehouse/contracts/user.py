"""Contracts of events about users."""

import msgspec

from lakehouse.contracts.fields import Email, Id, Title
from lakehouse.contracts.registry import Personal, event


@event(
    "okr.user.defined.v1", topic="okr_user_events", key="user_id",
    personal=Personal(("name", "email"), entity="user_id"),
)  # fmt: skip
class UserDefined(msgspec.Struct, kw_only=True, frozen=True):
    """The full state of a user; the newest event applies."""

    user_id: Id
    name: Title
    email: Email
    team_id: Id | None = None


@event("okr.user.deactivated.v1", topic="okr_user_events", key="user_id")
class UserDeactivated(msgspec.Struct, kw_only=True, frozen=True):
    """A user left or is no longer allowed to log in. Their texts stay; erasing them is a separate process."""

    user_id: Id
