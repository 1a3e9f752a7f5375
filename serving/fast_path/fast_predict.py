"""Answer the most common requests to POST /predict (`FastProtocol`), in front of the regular route.

A common request comes from a caller whose credential was verified recently and who is within the rate limit. Its JSON
body has `key_result_ids` whose forecasts are prepared, or one row of `features` (fast_features.py). All other requests,
including invalid ones, go through RequestGuard to the regular route (serving/predictor/routes.py).
tests/serving/test_fast_predict.py checks that both paths give the same answers.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, NamedTuple, Protocol, TypeVar

import msgspec

from lakehouse.logs import get_logger
from serving.auth.roles import Identity, Right
from serving.errors import NotPersisted
from serving.fast_path.event_ids import EventIds
from serving.fast_path.fast_features import AskedFeatures
from serving.fast_path.fast_protocol import Head, Header
from serving.fast_path.prepared_answers import END, PreparedAnswers, Served
from serving.http.access_log import RequestLine, Write
from serving.http.request_context import IdSource, RequestIds, attributes_of
from serving.http.request_guard import Observe
from serving.http.security_headers import add_security_headers
from serving.limits.response_headers import rate_limit_fields
from serving.limits.token_leases import Decision
from serving.observability.bulk_histogram import BulkHistogram
from serving.prediction_log import PredictionLog, attributes_text
from serving.prediction_log.event_template import id_text

T = TypeVar("T")

PATH = "/predict"
JSON = b"application/json"
FIELD = b'"key_result_ids"'
# Requests with one of these headers are not common requests: RequestGuard checks them.
UNUSUAL = frozenset({b"content-encoding", b"cookie", b"transfer-encoding"})
_FIXED = b"".join(b"%b: %b\r\n" % header for header in add_security_headers([(b"content-type", JSON)]))


class Answerer(Protocol[T]):
    """Answers one kind of body. Neither method may block."""

    def read(self, body: bytes) -> T | None:
        """Return the content of the body, or None if the regular route should answer."""
        ...

    def items(self, asked: T) -> int:
        """Return the number of items that the request is about; every 10 count as one request."""
        ...

    def answer(self, asked: T, ids: RequestIds) -> Served | None:
        """Record the predictions and return the response, or None if the regular route should answer.

        After the predictions are recorded, nothing may fail: the regular route would record them again.
        """
        ...


class Accepted(NamedTuple):
    """A request whose predictions are recorded, so that it must be answered."""

    ids: RequestIds
    policy: bytes
    limit: bytes
    served: Served


class FastPredict:
    """Answers common requests as RequestGuard and the regular route do."""

    def __init__(  # noqa: PLR0913 -- what it answers with
        self,
        *,
        hosts: frozenset[bytes],
        recognise: Callable[[str], Identity | None],
        charge: Callable[[Identity, int], Decision],
        give_back: Callable[[Identity, int], None],
        observe: Observe,
        log: Write,
        probabilities: BulkHistogram,
        by_id: "Answerer[Asked]",
        by_features: "Answerer[AskedFeatures]",
    ) -> None:
        """`recognise` knows verified Authorization headers, `charge` charges an account, and `give_back` undoes this.

        None of them may block.
        """
        self._hosts = hosts
        self._recognise = recognise
        self._charge = charge
        self._give_back = give_back
        self._observe = observe
        self._log = log
        self._probabilities = probabilities
        self._by_id = by_id
        self._by_features = by_features
        self._ids = IdSource()

    def read_head(self, headers: Sequence[Header]) -> Head | None:
        """Return what is needed of the headers, or None if they are not those of a common request."""
        found = dict(headers)
        authorization, host = found.get(b"authorization"), found.get(b"host", b"")
        if authorization is None or found.get(b"content-type") != JSON or len(found) < len(headers):
            return None
        if not UNUSUAL.isdisjoint(found) or not (host.rpartition(b":")[0] in self._hosts or host in self._hosts):
            return None
        return Head(authorization.decode("latin-1"), found.get(b"x-request-id"), found.get(b"traceparent"))

    def answer(self, head: Head, body: bytes) -> tuple[bytes, bytes] | None:
        """Return the header lines and the body of the response, or None if the application should answer."""
        started = time.perf_counter()
        try:
            if FIELD in body:
                accepted = self._accept(head, body, self._by_id)
            else:
                accepted = self._accept(head, body, self._by_features)
        except NotPersisted:
            return None
        except Exception as error:  # the application can do without this layer
            get_logger(__name__).error("a request is answered by the regular route", error=str(error), exc_info=error)
            return None
        if accepted is None:
            return None
        content = accepted.served.content
        lines = b"%bcontent-length: %d\r\nratelimit-policy: %b\r\nratelimit: %b\r\nx-request-id: %b\r\n\r\n" % (
            _FIXED, len(content), accepted.policy, accepted.limit, accepted.ids.request_id.encode(),
        )  # fmt: skip
        try:
            self._note(accepted, time.perf_counter() - started)
        except Exception as error:  # the predictions are recorded, and the regular route would record them again
            get_logger(__name__).error("a request is answered but not counted", error=str(error), exc_info=error)
        return lines, content

    def _accept(self, head: Head, body: bytes, by: Answerer[T]) -> Accepted | None:
        """Charge the account and record the predictions. Either both happen, or neither."""
        identity = self._recognise(head.credential)
        if identity is None or identity.organisation_id is not None or not identity.may(Right.PREDICT):
            return None  # an organisation's account sees only its own
        asked = by.read(body)
        if asked is None:
            return None
        items = by.items(asked)
        decision = self._charge(identity, items)
        if not decision.is_allowed:
            return None
        served = None
        try:
            (_, policy), (_, limit) = rate_limit_fields(decision)
            ids = self._ids.ids_of(head.request_id, head.traceparent)
            served = by.answer(asked, ids)
        finally:
            if served is None:
                self._give_back(identity, items)  # the regular route charges
        return None if served is None else Accepted(ids, policy, limit, served)

    def _note(self, accepted: Accepted, took_s: float) -> None:
        """Write the metrics and the log line."""
        ids = accepted.ids
        for labels, probability in accepted.served.probabilities:
            self._probabilities.observe(labels, probability)
        self._observe("POST", PATH, 200, took_s)
        took_ms = round(took_s * 1000, 3)
        self._log(
            RequestLine(datetime.now(UTC), "POST", PATH, 200, took_ms, ids.request_id, ids.trace_id or msgspec.UNSET)
        )


class _ByIdBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a common request. The regular route explains what is wrong with any other body."""

    key_result_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=1_000)]


class Asked(NamedTuple):
    """The ids in a request, each one once, and the answers at that time."""

    answers: PreparedAnswers
    key_result_ids: list[str]


class ById:
    """Answers requests by key result ids with prepared answers."""

    def __init__(self, answers: Callable[[], PreparedAnswers | None], log: PredictionLog) -> None:
        self._answers = answers
        self._log = log
        self._decode = msgspec.json.Decoder(_ByIdBody).decode
        self._new_id = EventIds().next

    def read(self, body: bytes) -> "Asked | None":
        """Return the ids, or None if the regular route should answer. Answers are prepared for payers only."""
        answers = self._answers()
        # A repeated field is an error that msgspec does not see, and a backslash can spell the same field differently.
        if answers is None or body.count(FIELD) != 1 or b"\\" in body:
            return None
        try:
            wanted = self._decode(body).key_result_ids
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return Asked(answers, wanted) if len(set(wanted)) == len(wanted) else None

    def items(self, asked: "Asked") -> int:
        """Return the number of key results."""
        return len(asked.key_result_ids)

    def answer(self, asked: "Asked", ids: RequestIds) -> Served | None:
        """Record the predictions and return the response, or None if an answer is not prepared.

        Raises:
            NotPersisted: the predictions could not be recorded.
        """
        prepared = asked.answers.of(asked.key_result_ids)
        if prepared is None:
            return None
        served = [(each, self._new_id()) for each in prepared]
        items = [each.before + id_text(id_) + each.after for each, id_ in served]
        response = Served(
            asked.answers.head + b",".join(items) + END, [(each.labels, each.probability) for each in prepared]
        )
        uses = [(each.event, id_) for each, id_ in served]
        self._log.append_from_templates(uses, attributes_text(attributes_of(ids)))
        return response
