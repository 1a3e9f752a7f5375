"""Reject unknown or repeated query parameters, repeated headers and duplicate names in JSON bodies."""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from anyio import to_thread
from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_dependant, get_parameterless_sub_dependant
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

import serving.http.entity_path  # noqa: F401 -- registers the convertor of the routes' paths
from serving.auth.authorization import SAFE_METHODS, check_login
from serving.http.deprecation import announcing, deprecation_of
from serving.suggestions import similar_names

ONCE = ("idempotency-key",)
ANONYMOUS_BODY_BYTES = 16_384  # a larger body is parsed only after a login: parsing takes up to 75 ns per byte
SMALL_BODY_BYTES = 65_536  # a larger body is parsed in a thread
# Each array and object is tracked by the garbage collector, which stops all threads while it looks at them. 500 events
# have about 3,000.
MAX_CONTAINERS = 10_000
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
MAX_NAMES = 1_000  # in one JSON object: each unknown one is an error, and describing 100,000 takes half a second
MAX_REPORTED = 20  # unknown parameters in one answer: a suggestion for each takes time


class StrictRoute(APIRoute):
    """A route that rejects unknown query parameters, and repeated parameters that accept only one value.

    If a misspelt filter were ignored, callers would mistake the unfiltered result for a filtered one. In another API,
    `palet=Balances` returned everything (https://github.com/JSONbored/metagraphed/issues/9149).
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint if iscoroutinefunction(endpoint) else _in_thread(endpoint), **options)
        self.deprecation = deprecation_of(self.openapi_extra)
        self._start = self.path_format.partition("{")[0]
        known = _parameters(self.dependant)

        async def check(request: Request) -> None:  # a coroutine, so that it needs no thread
            errors = [*_unknown(request, known), *_repeated(request, known)]
            if errors:
                raise RequestValidationError(errors)

        # This dependency comes last, so that authorization errors take precedence.
        self.dependant.dependencies.append(
            get_parameterless_sub_dependant(depends=Depends(check), path=self.path_format)
        )

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is for this route.

        Its literal start is compared first, because a request is compared with one route after another, and the regular
        expressions of all of them would take a tenth of its time.
        """
        if not scope["path"].startswith(self._start) and not scope.get("root_path"):
            return Match.NONE, {}
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. If the route is deprecated, every response says so."""
        await super().handle(scope, receive, announcing(send, self.deprecation) if self.deprecation else send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, which rejects duplicate names in JSON bodies."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            checked = StrictRequest(request.scope, request.receive)
            if request.method not in SAFE_METHODS and len(await checked.body()) > ANONYMOUS_BODY_BYTES:
                await to_thread.run_sync(check_login, checked)
                if checked.headers.get("content-type", "").lower().startswith(FORMS):  # it is parsed on the event loop
                    raise HTTPException(413, f"A form may have at most {ANONYMOUS_BODY_BYTES} bytes.")
            return await handle(checked)

        return strict


class StrictRequest(Request):
    """A request that rejects duplicate names in JSON objects, because json.loads would silently use the last value."""

    async def json(self) -> Any:
        """Return the body's JSON. A large one is parsed in a thread, because that takes up to 0.1 s.

        Raises:
            JSONDecodeError: the body is not JSON, an object has a duplicate name or too many names, or there are too
                many arrays and objects.
        """
        if not hasattr(self, "_json"):
            body = await self.body()
            self._json = _parsed(body) if len(body) <= SMALL_BODY_BYTES else await to_thread.run_sync(_parsed, body)
        return self._json


def _in_thread(endpoint: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return a coroutine that runs an endpoint in a thread.

    FastAPI would do so too, and then validate what it returned in another thread. Switching threads takes longer than
    this validation, because endpoints return instances of their response model.
    """

    @wraps(endpoint)
    async def run(**values: Any) -> Any:
        return await run_in_threadpool(endpoint, **values)

    return run


def _parsed(body: bytes) -> Any:
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        detail = f"The body may contain at most {MAX_CONTAINERS} of the characters [ and {{"
        raise json.JSONDecodeError(detail, "", 0)
    return json.loads(body, object_pairs_hook=_reject_duplicates)


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_NAMES:
        raise json.JSONDecodeError(f"An object has {len(pairs)} names; at most {MAX_NAMES} are allowed", "", 0)
    found = dict(pairs)
    if len(found) < len(pairs):
        (duplicate, _), *_ = Counter(name for name, _ in pairs).most_common(
            1
        )  # in linear time, because a caller may send a large object
        raise json.JSONDecodeError(f"Duplicate name {duplicate!r} in one object", "", 0)
    return found


def _parameters(dependant: Dependant) -> dict[str, bool]:
    """Return the names of a route's query parameters, and whether each may be repeated."""
    known: dict[str, bool] = {}
    for parameter in get_flat_dependant(dependant).query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = kind.model_fields.items()
            known |= {field.alias or name: _is_list(field.annotation) for name, field in fields}
        else:
            known[parameter.alias] = _is_list(kind)
    return known


def _is_list(annotation: Any) -> bool:
    return "list[" in str(annotation)


def _unknown(request: Request, known: dict[str, bool]) -> list[dict[str, Any]]:
    unknown = [item for item in request.query_params.multi_items() if item[0] not in known]
    expected = f"this path takes {', '.join(sorted(known))}" if known else "this path takes none"
    return [
        {
            "type": "unknown_parameter", "loc": ("query", name), "input": value,
            "msg": f"Unknown parameter; {expected}{_suggestion(name, known)}",
        }
        for name, value in unknown[:MAX_REPORTED]
    ]  # fmt: skip


def _suggestion(name: str, known: dict[str, bool]) -> str:
    similar = [each for each in similar_names(name, known, 1) if each[0] == name[:1]]
    return f". Did you mean {similar[0]}?" if similar else ""


def _repeated(request: Request, known: dict[str, bool]) -> list[dict[str, Any]]:
    repeated = [("header", name) for name in ONCE if len(request.headers.getlist(name)) > 1]
    parameters = request.query_params.multi_items()
    if len(parameters) > 1:  # counted in linear time, because a caller may send thousands
        times = Counter(name for name, _ in parameters)
        several = [name for name, count in times.items() if count > 1 and not known.get(name, True)]
        repeated = [*(("query", name) for name in several), *repeated]
    return [
        {"type": "repeated", "loc": location, "input": None, "msg": "Expected at most once"} for location in repeated
    ]
