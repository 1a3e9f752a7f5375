"""Check-ins posted by apps: events like every other, recorded exactly once. Knows no HTTP.

Read `record` from top to bottom. A request is written to PostgreSQL with the id and time of its event before the event
is kept on disk. Whoever asks for the same again, after an error, a restart or in another process, sends that same event
again, which counts once, or none at all. The first answer holds; a change of mind is a correction, in words of its own.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from ingestion.event_codec import encode
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.errors import RetryableError
from lakehouse.ids import uuid7
from lakehouse.logs import get_logger
from serving.auth.identity import Identity
from serving.check_ins.outcome import Sent
from serving.check_ins.plausible import warnings
from serving.check_ins.store import Requested, Requests
from serving.errors import Conflict, Difference, NotFound, NotKept, UnknownName
from serving.outbox import Outbox
from serving.published import Row

ATTEMPTS = 3


@dataclass(frozen=True)
class Content:
    """What a check-in says, in the key result's unit; `is_final` closes the key result."""

    value: float
    confidence: float | None
    note: str | None
    is_final: bool


@dataclass(frozen=True)
class Accepted:
    """The first answer to a request. `is_repeat`: it was given before, and nothing was recorded now."""

    event_id: UUID
    check_in_id: str
    key_result_id: str
    occurred_at: datetime
    warnings: list[dict[str, str]]
    is_in_log: bool
    is_repeat: bool


class CheckIns:
    """Turns check-ins and corrections into events."""

    def __init__(self, outbox: Outbox, requests: Requests) -> None:
        self._outbox = outbox
        self._requests = requests
        self._log = get_logger(__name__)

    def record(  # noqa: PLR0913 -- what a request says
        self,
        key_result_id: str,
        content: Content,
        identity: Identity,
        *,
        check_in_id: str | None,
        idempotency_key: str | None,
        allow_unknown: bool,
    ) -> Accepted:
        """Keep a check-in of now on disk and send it; a broker that is away gets it when it is back.

        The account stands in the event's source; `user_id` is for people of the organisation, which accounts are not.

        Raises:
            Conflict: the idempotency key or the check-in's id was used before, for something else.
            UnknownName: no key result of that id is known, and that was not allowed.
            ContractViolation: the event would break its contract.
            NotKept: it was not recorded; the same request may be sent again.
            RetryableError: PostgreSQL is away; the same request may be sent again.
        """
        who: dict[str, str | None] = {"username": identity.username, "idempotency_key": idempotency_key}
        for _ in range(ATTEMPTS):
            before = self._requests.recorded(identity.username, idempotency_key, check_in_id)
            if before is not None:
                _check_same(before, check_in_id or before.check_in_id, key_result_id, content)
                if idempotency_key is None or before.is_bound or self._requests.bind(who, before):
                    return self._repeat(before, identity)
                continue  # another request bound the key meanwhile
            asked = self._asked(key_result_id, content, check_in_id, allow_unknown=allow_unknown)
            written = self._requests.insert("record", who, asked)
            if written is not None:
                return self._deliver(written, identity, is_repeat=False)
        raise RetryableError("The same check-in was sent several times at once. Send it again.")

    def correct(
        self, check_in_id: str, key_result_id: str | None, content: Content, identity: Identity, key: str | None
    ) -> Accepted:
        """Correct a check-in: what it says is replaced, the moment at which it was true stays.

        Raises:
            NotFound: no such check-in is known.
            Conflict: it belongs to another key result, or the idempotency key was used for another correction.
            ContractViolation, NotKept, RetryableError: as `record`.
        """
        original = self._requests.original(check_in_id)
        if original is None:
            raise NotFound(
                f"No check-in {check_in_id!r} is known. POST /v1/check-ins records one; one that another source sent "
                "is known a second after the log has it."
            )
        owner = original["key_result_id"]
        if key_result_id is not None and key_result_id != owner:
            raise Conflict(
                f"The check-in {check_in_id!r} belongs to the key result {owner!r}; a correction cannot move it.",
                [Difference("key_result_id", owner, key_result_id)],
            )
        for _ in range(ATTEMPTS):
            before = self._requests.corrected(identity.username, key, check_in_id)
            if before is not None and (key is not None or before.content == asdict(content)):
                _check_same(before, check_in_id, owner, content)
                return self._repeat(before, identity)
            asked = replace(_new(check_in_id, owner, content), occurred_at=original["occurred_at"])
            asked = _warned(asked, content, self._requests.key_result(owner, _sent(asked, content)))
            written = self._requests.insert("correct", {"username": identity.username, "idempotency_key": key}, asked)
            if written is not None:
                return self._deliver(written, identity, is_repeat=False)
        raise RetryableError("The same correction was sent several times at once. Send it again.")

    def _asked(
        self, key_result_id: str, content: Content, check_in_id: str | None, *, allow_unknown: bool
    ) -> Requested:
        asked = _new(check_in_id, key_result_id, content)
        known = self._requests.key_result(key_result_id, _sent(asked, content))
        if known is None and not allow_unknown:
            raise UnknownName(
                f"No key result {key_result_id!r} is known, neither to the current publication nor to the state that "
                "is seconds old. If its definition is on the way, send ?allow_unknown=true.",
                pointer="#/key_result_id",
                nearby=self._requests.nearby(key_result_id),
            )
        return _warned(asked, content, known)

    def _repeat(self, before: Requested, identity: Identity) -> Accepted:
        """Give the first answer again; send the event again only where it may never have been kept."""
        if not before.is_kept:
            return self._deliver(before, identity, is_repeat=True)
        is_in_log = before.is_in_log or self._requests.is_in_log(before)
        return _accepted(before, is_in_log=is_in_log, is_repeat=True)

    def _deliver(self, asked: Requested, identity: Identity, *, is_repeat: bool) -> Accepted:
        # A correction says nothing of who checked in: that stays.
        author = self._requests.author(asked.check_in_id)
        data = CheckInRecorded(
            check_in_id=asked.check_in_id, key_result_id=asked.key_result_id, **asked.content, **author
        )
        event = encode(data, at=asked.occurred_at, source=f"okr-api/{identity.username}", event_id=asked.event_id)
        try:
            is_in_log = self._outbox.deliver(event)
        except NotKept as error:
            raise NotKept(
                f'The check-in was not recorded. {error} Send it again later with "check_in_id": '
                f'"{asked.check_in_id}", so that it counts once.'
            ) from error
        if asked.request_id is not None:
            self._note_kept(asked.request_id, is_in_log=is_in_log)
        return _accepted(asked, is_in_log=is_in_log, is_repeat=is_repeat)

    def _note_kept(self, request_id: int, *, is_in_log: bool) -> None:
        try:
            self._requests.kept(request_id, is_in_log=is_in_log)
        except RetryableError as error:  # it is recorded; a repeat sends the same event, which counts once
            self._log.warning("a kept check-in is not noted as kept", request_id=request_id, error=str(error))


def _new(check_in_id: str | None, key_result_id: str, content: Content) -> Requested:
    event_id = uuid7()
    return Requested(
        request_id=None,
        check_in_id=check_in_id or str(event_id),
        key_result_id=key_result_id,
        content=asdict(content),
        event_id=event_id,
        occurred_at=datetime.now(UTC),
        warnings=[],
        is_kept=False,
        is_in_log=False,
    )


def _sent(asked: Requested, content: Content) -> Sent:
    return Sent(asked.check_in_id, asked.occurred_at, content.is_final)


def _warned(asked: Requested, content: Content, known: Row | None) -> Requested:
    told = warnings(content.value, _sent(asked, content), known=known, key_result_id=asked.key_result_id)
    return replace(asked, warnings=[asdict(each) for each in told])


def _accepted(asked: Requested, *, is_in_log: bool, is_repeat: bool) -> Accepted:
    return Accepted(
        asked.event_id, asked.check_in_id, asked.key_result_id, asked.occurred_at, asked.warnings, is_in_log, is_repeat
    )


def _check_same(before: Requested, check_in_id: str, key_result_id: str, content: Content) -> None:
    """Raise Conflict where a repeated request says something else than the first one."""
    first = {"check_in_id": before.check_in_id, "key_result_id": before.key_result_id, **before.content}
    now = {"check_in_id": check_in_id, "key_result_id": key_result_id, **asdict(content)}
    differences = [Difference(name, first[name], now[name]) for name in first if first[name] != now[name]]
    if differences:
        names = ", ".join(each.field for each in differences)
        raise Conflict(
            f"This was recorded before as check-in {before.check_in_id!r} and differs in {names}. Nothing was changed. "
            f"To correct it, PUT /v1/check-ins/{before.check_in_id}; for another check-in, send another id and key.",
            differences,
        )
