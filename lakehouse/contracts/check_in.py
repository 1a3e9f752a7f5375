"""Noun: check-in."""

import msgspec

from lakehouse.contracts.fields import Id, Note, Ratio, Value
from lakehouse.contracts.registry import event


@event("okr.check_in.recorded.v1", topic="okr_user_events", key="key_result_id")
class CheckInRecorded(msgspec.Struct, kw_only=True, frozen=True):
    """A key result's value at the event's `time`, in the key result's unit. `is_final` closes the key result.

    A second event with the same `check_in_id` corrects the first. `organisation_id` says whose key result is meant
    where a source has only its own ids for it; in another organisation's the check-in is quarantined (ADR 18).
    """

    check_in_id: Id
    key_result_id: Id
    value: Value
    user_id: Id | None = None
    confidence: Ratio | None = None
    note: Note | None = None
    is_final: bool = False
    organisation_id: Id | None = None
