"""Contracts of events about check-ins."""

import msgspec

from lakehouse.contracts.fields import Id, Note, Ratio, Value
from lakehouse.contracts.registry import Personal, event


@event(
    "okr.check_in.recorded.v1", topic="okr_user_events", key="key_result_id",
    personal=Personal(("note",), entity="check_in_id"),
)  # fmt: skip
class CheckInRecorded(msgspec.Struct, kw_only=True, frozen=True):
    """The value of a key result at the event's `time`, in the key result's unit. `is_final` closes the key result.

    A later event with the same `check_in_id` corrects the earlier one. `organisation_id` names the organisation of the
    key result; if the key result belongs to another one, the check-in is withheld (ADR 18).
    """

    check_in_id: Id
    key_result_id: Id
    value: Value
    user_id: Id | None = None
    confidence: Ratio | None = None
    note: Note | None = None
    is_final: bool = False
    organisation_id: Id | None = None
