"""Record check-ins posted by apps. This module does not use FastAPI.

`record` shows the order of the steps. Each request is stored in PostgreSQL, with the id and time of its event, before
the event is written to disk. If the request is repeated with the same idempotency key or check-in id (after an error,
after a restart or in another process), either the same event is sent again and counts once, or nothing is sent. The
first response remains valid. To change the content, a client sends a correction, which is a separate request.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from ingestion.contract_validation import encode
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.errors import RetryableError
from lakehouse.ids import uuid7
from lakehouse.logs import get_logger
from serving.auth.roles import Identity
from serving.check_ins.check_in_warnings import warnings
from serving.check_ins.idempotency import RequestStore, StoredRequest
from serving.check_ins.lookups import Lookups
from serving.check_ins.outcome_effect import Sent
from serving.errors import Conflict, Difference, NotAllowed, NotFound, NotPersisted, UnknownName
from serving.http.idempotency import ATTEMPTS, differences
from serving.http.request_context import event_attributes
from serving.publication_reader import Row
from serving.spool_sender import SpoolSender
from serving.writes.references import References


@dataclass(frozen=True)
class Content:
    """The content of a check-in. `value` is in the key result's unit, and `is_final` closes the key result."""

    value: float
    confidence: float | None
    note: str | None
    is_final: bool


@dataclass(frozen=True)
class Accepted:
    """The first response to a request. `is_repeat` is true if the request was a repeat and recorded nothing new."""

    event_id: UUID
    check_in_id: str
    key_result_id: str
    occurred_at: datetime
    warnings: list[dict[str, str]]
    is_acknowledged: bool
    is_repeat: bool


class CheckIns:
    """Turns check-ins and corrections into events."""

    def __init__(self, sender: SpoolSender, requests: RequestStore, lookups: Lookups, references: References) -> None:
        self._references = references
        self._sender = sender
        self._requests = requests
        self._lookups = lookups
        self._log = get_logger(__name__)

    def record(  # noqa: PLR0913 -- the fields of a request
        self,
        key_result_id: str,
        content: Content,
        identity: Identity,
        *,
        check_in_id: str | None,
        idempotency_key: str | None,
        allow_unknown: bool,
    ) -> Accepted:
        """Persist a check-in with the current time and send it. If the broker is unavailable, it is sent later.

        The event's source identifies the account. `user_id` stays empty, because it identifies members of the
        organisation, and accounts are not members.

        Raises:
            Conflict: the idempotency key or the check-in id was already used with different content.
            UnknownName: the key result is unknown, and `allow_unknown` is false.
            NotAllowed: the caller may not check in on the key result, or use the check-in id.
            ContractViolation: the event would violate its contract.
            NotPersisted: the check-in was not recorded; the same request can be sent again.
            RetryableError: PostgreSQL is unavailable; the same request can be sent again.
        """
        self._references.check_recording(key_result_id, identity)
        caller_and_key = _caller_and_key(identity, idempotency_key)
        for _ in range(ATTEMPTS):
            before = self._requests.find_recorded(identity.username, idempotency_key, check_in_id)
            if before is not None:
                if not self._references.is_key_result_visible(before.key_result_id, identity):
                    raise NotAllowed(f"The check-in id {before.check_in_id!r} cannot be used. Choose another one.")
                _check_same(before, check_in_id or before.check_in_id, key_result_id, content)
                if idempotency_key is None or before.is_bound or self._requests.bind_key(caller_and_key, before):
                    return self._repeat(before, identity)
                continue  # another request has stored the key in the meantime
            request = self._new_request(key_result_id, content, check_in_id, identity, allow_unknown=allow_unknown)
            written = self._requests.insert("record", caller_and_key, request)
            if written is not None:
                return self._deliver(written, identity, is_repeat=False)
        raise RetryableError("The same check-in was sent several times concurrently. Send it again.")

    def correct(
        self,
        check_in_id: str,
        key_result_id: str | None,
        content: Content,
        identity: Identity,
        idempotency_key: str | None,
    ) -> Accepted:
        """Replace the content of a check-in and keep its time.

        Raises:
            NotFound: the check-in is unknown.
            Conflict: the check-in belongs to another key result, or the idempotency key to another correction.
            ContractViolation, NotPersisted, RetryableError: as in `record`.
        """
        original = self._lookups.original_check_in(check_in_id)
        if original is None or not self._references.is_key_result_visible(original["key_result_id"], identity):
            raise NotFound(
                f"Unknown check-in {check_in_id!r}. POST /v1/check-ins records a new one. A check-in that another "
                "source has just sent becomes known within seconds."
            )
        owner = original["key_result_id"]
        self._references.check_recording(owner, identity)
        if key_result_id is not None and key_result_id != owner:
            raise Conflict(
                f"The check-in {check_in_id!r} belongs to the key result {owner!r}; a correction cannot move it.",
                [Difference("key_result_id", owner, key_result_id)],
            )
        for _ in range(ATTEMPTS):
            before = self._requests.find_correction(identity.username, idempotency_key, check_in_id)
            if before is not None and (idempotency_key is not None or before.content == asdict(content)):
                _check_same(before, check_in_id, owner, content)
                return self._repeat(before, identity)
            request = replace(
                _request_at_current_time(check_in_id, owner, content), occurred_at=original["occurred_at"]
            )
            known = self._lookups.key_result(owner, _sent(request, content), identity)
            request = _with_warnings(request, content, known)
            written = self._requests.insert("correct", _caller_and_key(identity, idempotency_key), request)
            if written is not None:
                return self._deliver(written, identity, is_repeat=False)
        raise RetryableError("The same correction was sent several times concurrently. Send it again.")

    def _new_request(
        self, key_result_id: str, content: Content, check_in_id: str | None, identity: Identity, *, allow_unknown: bool
    ) -> StoredRequest:
        request = _request_at_current_time(check_in_id, key_result_id, content)
        known = self._lookups.key_result(key_result_id, _sent(request, content), identity)
        if known is None and not allow_unknown:
            raise UnknownName(
                f"Unknown key result {key_result_id!r}: neither the current publication nor the newer state tables "
                "contain it. If its definition will follow, send ?allow_unknown=true.",
                pointer="#/key_result_id",
                similar=self._lookups.similar_ids(key_result_id, identity),
            )
        return _with_warnings(request, content, known)

    def _repeat(self, before: StoredRequest, identity: Identity) -> Accepted:
        """Return the first response again. Send the event again only if it may not have been persisted."""
        if not before.is_persisted:
            return self._deliver(before, identity, is_repeat=True)
        is_acknowledged = before.is_acknowledged or self._requests.is_logged(before)
        return _accepted(before, is_acknowledged=is_acknowledged, is_repeat=True)

    def _deliver(self, request: StoredRequest, identity: Identity, *, is_repeat: bool) -> Accepted:
        # A correction does not contain the author, so the author of the check-in does not change.
        author = self._lookups.author(request.check_in_id)
        data = CheckInRecorded(
            check_in_id=request.check_in_id, key_result_id=request.key_result_id, **request.content, **author
        )
        source = f"okr-api/{request.username or identity.username}"  # who sent it first
        event = encode(
            data, at=request.occurred_at, source=source, event_id=request.event_id, attributes=event_attributes()
        )
        try:
            is_acknowledged = self._sender.deliver(event)
        except NotPersisted as error:
            raise NotPersisted(
                f'The check-in was not recorded. {error} Send it again later with "check_in_id": '
                f'"{request.check_in_id}", so that it counts once.'
            ) from error
        if request.request_id is not None:
            self._mark_persisted(request.request_id, is_acknowledged=is_acknowledged)
        return _accepted(request, is_acknowledged=is_acknowledged, is_repeat=is_repeat)

    def _mark_persisted(self, request_id: int, *, is_acknowledged: bool) -> None:
        try:
            self._requests.mark_persisted(request_id, is_acknowledged=is_acknowledged)
        except RetryableError as error:  # the check-in is recorded; a repeat sends the same event, which counts once
            self._log.warning(
                "a persisted check-in could not be marked as persisted", request_id=request_id, error=str(error)
            )


def _caller_and_key(identity: Identity, idempotency_key: str | None) -> dict[str, str | None]:
    """Return the caller and the idempotency key, as they are stored with the request."""
    return {
        "username": identity.username, "organisation_id": identity.organisation_id, "idempotency_key": idempotency_key,
    }  # fmt: skip


def _request_at_current_time(check_in_id: str | None, key_result_id: str, content: Content) -> StoredRequest:
    event_id = uuid7()
    return StoredRequest(
        request_id=None,
        check_in_id=check_in_id or str(event_id),
        key_result_id=key_result_id,
        content=asdict(content),
        event_id=event_id,
        occurred_at=datetime.now(UTC),
        warnings=[],
        is_persisted=False,
        is_acknowledged=False,
    )


def _sent(request: StoredRequest, content: Content) -> Sent:
    return Sent(request.check_in_id, request.occurred_at, content.is_final)


def _with_warnings(request: StoredRequest, content: Content, known: Row | None) -> StoredRequest:
    found = warnings(content.value, _sent(request, content), known=known, key_result_id=request.key_result_id)
    return replace(request, warnings=[asdict(each) for each in found])


def _accepted(request: StoredRequest, *, is_acknowledged: bool, is_repeat: bool) -> Accepted:
    return Accepted(
        event_id=request.event_id,
        check_in_id=request.check_in_id,
        key_result_id=request.key_result_id,
        occurred_at=request.occurred_at,
        warnings=request.warnings,
        is_acknowledged=is_acknowledged,
        is_repeat=is_repeat,
    )


def _check_same(before: StoredRequest, check_in_id: str, key_result_id: str, content: Content) -> None:
    """Raise Conflict if a repeated request differs from the first request."""
    first = {"check_in_id": before.check_in_id, "key_result_id": before.key_result_id, **before.content}
    now = {"check_in_id": check_in_id, "key_result_id": key_result_id, **asdict(content)}
    if before.is_note_erased:
        now["note"] = None  # it cannot be compared
    differs = differences(first, now)
    if differs:
        names = ", ".join(each.field for each in differs)
        raise Conflict(
            f"This request was recorded before as check-in {before.check_in_id!r} and differs in {names}. Nothing was "
            f"changed. To correct it, use PUT /v1/check-ins/{before.check_in_id}; for another check-in, send "
            "another check-in id and idempotency key.",
            differs,
        )
