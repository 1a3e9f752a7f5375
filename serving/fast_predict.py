"""Answer POST /predict by key result ids from memory, in front of the documented route.

Only the usual request is answered here: a caller whose credential was verified recently, a JSON body with
`key_result_ids` only, and forecasts that are prepared. Everything else, errors included, goes to the documented route
(serving/predictor/routes.py) unchanged. tests/serving/test_fast_predict.py holds both together.
"""

import os
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.logs import get_logger
from serving.auth.roles import Right
from serving.errors import NotPersisted
from serving.limits.rate_limits import Recognise
from serving.prediction_log import PredictionLog, attributes_text
from serving.prediction_log.event_template import id_text
from serving.prepared_answers import END, PreparedAnswers
from serving.request_context import RequestIds, attributes_of
from serving.request_guard import IDS
from serving.served_probabilities import ServedProbabilities

PATH = "/predict"
JSON = b"application/json"
FIELD = b'"key_result_ids"'
RANDOM_BYTES = 16_384


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """The usual body. The documented route explains every other one."""

    key_result_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=1_000)]


class FastPredict:
    """ASGI layer around the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        recognise: Recognise,
        answers: Callable[[], PreparedAnswers | None],
        log: PredictionLog,
        probabilities: ServedProbabilities,
    ) -> None:
        """`recognise` knows verified credentials, and `answers` returns the current ones. Neither blocks."""
        self._app = app
        self._recognise = recognise
        self._answers = answers
        self._log = log
        self._probabilities = probabilities
        self._decode = msgspec.json.Decoder(Request).decode
        self._new_id = EventIds().next

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a usual request, and pass on any other."""
        if scope["type"] != "http" or scope["path"] != PATH or not self._is_usual(scope):
            await self._app(scope, receive, send)
            return
        message = await receive()
        body = None if message.get("more_body", False) else self._answer(message.get("body", b""), scope[IDS])
        if body is None:
            await self._app(scope, _Replayed(message, receive), send)
            return
        scope["route"] = _Route
        headers = [(b"content-length", str(len(body)).encode()), (b"content-type", JSON)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _is_usual(self, scope: Scope) -> bool:
        """Return whether the method, the headers and the caller are those of a usual request."""
        if scope["method"] != "POST" or scope["query_string"]:
            return False
        authorization = content_type = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                if authorization is not None:
                    return False
                authorization = value
            elif name == b"content-type":
                if content_type is not None:
                    return False
                content_type = value
        if authorization is None or content_type != JSON:
            return False
        identity = self._recognise(authorization, None)
        if identity is None or identity.organisation_id is not None:  # an organisation's account sees only its own
            return False
        return identity.may(Right.PREDICT)

    def _answer(self, body: bytes, request: RequestIds) -> bytes | None:
        """Record the predictions and return the response's body, or None if the documented route should answer."""
        answers = self._answers()
        if answers is None or body.count(FIELD) != 1:  # a repeated field is an error that msgspec does not see
            return None
        try:
            prepared = answers.of(self._decode(body).key_result_ids)
            if prepared is None:
                return None
            served = [(each, self._new_id()) for each in prepared]
            self._log.append_from_templates(
                [(each.event, id_) for each, id_ in served], attributes_text(attributes_of(request))
            )
        except (msgspec.DecodeError, UnicodeDecodeError, NotPersisted):
            return None
        except Exception as error:  # the documented route can do without this layer
            get_logger(__name__).error(
                "a request is answered by the documented route", error=str(error), exc_info=error
            )
            return None
        self._probabilities.add([each.served for each in prepared])
        items = [each.before + id_text(id_) + each.after for each, id_ in served]
        return answers.head + b",".join(items) + END


class EventIds:
    """Makes UUIDv7 of 16 bytes (RFC 9562), with random bytes fetched in bulk."""

    def __init__(self) -> None:
        self._random = b""
        self._at = 0

    def next(self) -> bytes:
        """Return a new id for now."""
        at = self._at
        if at + 10 > len(self._random):
            self._random, at = os.urandom(RANDOM_BYTES), 0
        self._at = at + 10
        rest = int.from_bytes(self._random[at : at + 10], "big")
        value = (time.time_ns() // 1_000_000) << 80 | rest & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62
        return value.to_bytes(16, "big")


class _Route:
    """What RequestGuard reads from the scope of a request that a route has answered."""

    path = PATH


class _Replayed:
    """The `receive` of a request whose first message has been read."""

    __slots__ = ("_message", "_receive")

    def __init__(self, message: Message, receive: Receive) -> None:
        self._message: Message | None = message
        self._receive = receive

    async def __call__(self) -> Message:
        message, self._message = self._message, None
        return await self._receive() if message is None else message
