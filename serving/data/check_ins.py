"""A check-in posted by an app: an event like every other, through the same producer and the same contract."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from ingestion.events import encode
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.ids import uuid7
from serving.auth.identity import Identity
from serving.errors import NotKept
from serving.outbox import Outbox


@dataclass(frozen=True)
class NewCheckIn:
    """What the caller says; `check_in_id` is None where we choose it. Units are the key result's."""

    key_result_id: str
    value: float
    confidence: float | None
    note: str | None
    check_in_id: str | None


@dataclass(frozen=True)
class Accepted:
    """What was kept; `is_in_log` says whether the broker has acknowledged it already, or it waits for the broker."""

    event_id: UUID
    check_in_id: str
    occurred_at: datetime
    is_in_log: bool


class CheckIns:
    """Turns check-ins into events."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def record(self, new: NewCheckIn, identity: Identity) -> Accepted:
        """Keep a check-in of now on disk and send it; a broker that is away gets it when it is back.

        The account stands in the event's source; `user_id` is for people of the organisation, which accounts are not.

        Raises:
            ContractViolation: the event would break its contract.
            NotKept: it was not recorded; the same check-in id may be sent again.
        """
        event_id, occurred_at = uuid7(), datetime.now(UTC)
        check_in_id = new.check_in_id or str(event_id)
        data = CheckInRecorded(
            check_in_id=check_in_id,
            key_result_id=new.key_result_id,
            value=new.value,
            confidence=new.confidence,
            note=new.note,
        )
        event = encode(data, at=occurred_at, source=f"okr-api/{identity.username}", event_id=event_id)
        try:
            is_in_log = self._outbox.deliver(event)
        except NotKept as error:
            raise NotKept(
                f'The check-in was not recorded. {error} Send it again later with "check_in_id": "{check_in_id}", '
                "so that it counts once."
            ) from error
        return Accepted(event_id, check_in_id, occurred_at, is_in_log)
