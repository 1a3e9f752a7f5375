"""Contracts of events about comments."""

import msgspec

from lakehouse.contracts.fields import Id, Note
from lakehouse.contracts.registry import Personal, event


@event(
    "okr.comment.posted.v1", topic="okr_user_events", key="key_result_id",
    personal=Personal(("text",), entity="comment_id"),
)  # fmt: skip
class CommentPosted(msgspec.Struct, kw_only=True, frozen=True):
    """A user wrote about a key result, outside a check-in. A later event with the same `comment_id` corrects it."""

    comment_id: Id
    key_result_id: Id
    user_id: Id
    text: Note
    reply_to_comment_id: Id | None = None
