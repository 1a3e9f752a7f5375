"""Contracts of events about organisations."""

import msgspec

from lakehouse.contracts.fields import Id, Title
from lakehouse.contracts.registry import event


@event("okr.organisation.defined.v1", topic="okr_user_events", key="organisation_id")
class OrganisationDefined(msgspec.Struct, kw_only=True, frozen=True):
    """The full state of an organisation; the newest event applies."""

    organisation_id: Id
    name: Title
