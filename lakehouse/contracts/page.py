"""Contracts of events about page views of an OKR tool."""

import msgspec

from lakehouse.contracts.fields import Id
from lakehouse.contracts.registry import event


@event("okr.page.viewed.v1", topic="okr_user_events", key="user_id")
class PageViewed(msgspec.Struct, kw_only=True, frozen=True):
    """A user viewed a page of an OKR tool, optionally the page of one key result."""

    user_id: Id
    page: Id
    key_result_id: Id | None = None
