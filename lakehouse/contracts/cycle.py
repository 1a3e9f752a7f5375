"""Contracts of events about cycles (a cycle is usually a quarter)."""

from datetime import date

import msgspec

from lakehouse.contracts.fields import Id, Title
from lakehouse.contracts.registry import event

LONGEST_DAYS = 732
# People often close a key result in the days after its cycle ends. For this many days, a closing check-in closes the
# key result in the cycle that has ended, even if it continues in the next one (ADR 19). dbt_project/dbt_project.yml
# defines the same number as days_to_close.
DAYS_TO_CLOSE = 31


@event("okr.cycle.defined.v1", topic="okr_user_events", key="cycle_id")
class CycleDefined(msgspec.Struct, kw_only=True, frozen=True):
    """The full state of a cycle; `ends_on` is its last day (inclusive, UTC)."""

    cycle_id: Id
    organisation_id: Id
    name: Title
    starts_on: date
    ends_on: date

    def __post_init__(self) -> None:
        if not date(1990, 1, 1) <= self.starts_on <= date(2200, 1, 1):
            raise ValueError(f"starts_on must be between 1990 and 2200, got {self.starts_on}")
        if not 1 <= (self.ends_on - self.starts_on).days <= LONGEST_DAYS:
            raise ValueError(f"a cycle lasts 1 to {LONGEST_DAYS} days, got {self.starts_on} to {self.ends_on}")


@event("okr.cycle.closed.v1", topic="okr_user_events", key="cycle_id")
class CycleClosed(msgspec.Struct, kw_only=True, frozen=True):
    """The results of a cycle were agreed on: later check-ins are corrections."""

    cycle_id: Id
    user_id: Id | None = None
