"""The errors of every operation in the OpenAPI description: their statuses, with an example of the problem document."""

from typing import Any

Operation = dict[str, Any]

PROBLEM_MEDIA_TYPE = "application/problem+json"
REFERENCE = {"$ref": "#/components/schemas/Problem"}
_LOCATED = {"pointer": {"type": "string"}, "detail": {"type": "string"}, "got": {"type": "string"}}
_DIFFERENCE = {"field": {"type": "string"}, "first": {}, "now": {}}

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "Problem document, RFC 9457. Members that do not apply are missing.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {
            "type": "string",
            "pattern": "^(urn:okr:problem:[a-z-]+|about:blank)$",
            "description": "urn:okr:problem:<code>, where the code stays the same across releases, or about:blank.",
        },
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was expected, what was sent, and what to do."},
        "request_id": {"type": "string", "description": "Finds the request in the service's log."},
        "errors": {
            "type": "array",
            "description": "The errors of an invalid request: the location, what was expected, and what was sent.",
            "items": {"type": "object", "required": ["pointer", "detail"], "properties": _LOCATED},
        },
        "pointer": {"type": "string", "description": "The location of an unknown name or an invalid field."},
        "similar": {"type": "array", "items": {"type": "string"}, "description": "Similar names that exist."},
        "reason": {"type": "string", "description": "The rule of the event contract that is violated, as a code."},
        "differs": {
            "type": "array",
            "description": "How a repeated request differs from the first one.",
            "items": {"type": "object", "required": ["field"], "properties": _DIFFERENCE},
        },
        "current": {
            "type": "object",
            "description": "The current version of a definition.",
            "required": ["etag", "defined_at", "data"],
            "properties": {"etag": {"type": "string"}, "defined_at": {"type": "string"}, "data": {}},
        },
        "violated-policies": {"type": "array", "items": {"type": "string"}, "description": "The exceeded rate plans."},
        "error_id": {"type": "string", "description": "Finds the cause of an unexpected error in the service's log."},
    },
}


def _problem(status: int, code: str, detail: str, **members: Any) -> dict[str, Any]:
    kind = {"type": f"urn:okr:problem:{code}", "title": code.replace("-", " ").capitalize(), "status": status}
    return {**kind, "detail": detail, **members, "request_id": "5f3c9a0d7be142860000000000001a2b"}


_CURRENT = {
    "etag": '"0199c2c4-6f0e-7c1a-8d5e-3b7a52f0c9aa"',
    "defined_at": "2026-11-20T12:00:00+00:00",
    "data": {"team_id": "sales", "organisation_id": "example", "name": "Sales"},
}
# Status: the default description, and an example.
ERRORS: dict[int, tuple[str, dict[str, Any]]] = {
    400: ("The body is not JSON in UTF-8, or the Host header is unknown.", _problem(
        400, "invalid-json", "Expected a body of valid JSON in UTF-8. Expecting value")),
    401: ("There is no valid login.", _problem(
        401, "not-signed-in", "Credentials are required: a token from POST /auth/token or an API key, as a bearer "
        "token.")),
    403: ("The account's role lacks the right.", _problem(
        403, "not-allowed", "The account 'ada' has the role viewer, which may not record check-ins. This requires the "
        "role member, lead, service or admin.")),
    404: ("There is nothing with this id.", _problem(
        404, "not-found", "Publication 42 has no key result 'kr-npz'. Similar names: 'kr-nps'.", similar=["kr-nps"])),
    406: ("The header Accept allows none of the formats.", _problem(
        406, "not-acceptable", "None of the accepted types is available. Available: application/json, text/csv.")),
    408: ("The body did not arrive in time.", _problem(408, "body-too-slow", "The body did not arrive within 10 s.")),
    409: ("The request contradicts an earlier request or the current state. Nothing was changed.", _problem(
        409, "conflict", "The idempotency key was used before, and this request differs from it.",
        differs=[{"field": "value", "first": 31.0, "now": 33.0}])),
    410: ("The cursor belongs to an earlier publication: start again.", _problem(
        410, "cursor-expired", "This cursor belongs to publication 41, and the current one is 42. Start again without "
        "a cursor.")),
    412: ("The definition was changed in the meantime.", _problem(
        412, "version-mismatch", "The team 'sales' was changed in the meantime, so your change was not made. Merge it "
        "into `current`, and send the entity tag of `current` as If-Match.", current=_CURRENT)),
    413: ("The body is too large.", _problem(
        413, "body-too-large", "A body may have at most 1048576 bytes; split the content into several requests.")),
    414: ("The query string is too large.", _problem(
        414, "query-too-large", "The query string of a URL may have at most 32768 bytes and 1000 parameters.")),
    415: ("The body has an unsupported media type or encoding.", _problem(
        415, "unknown-encoding", "Content-Encoding is not supported. Send the body uncompressed.")),
    422: ("A parameter or field is unknown or invalid; similar names are suggested.", _problem(
        422, "validation", "The request is invalid. query limit: Input should be less than or equal to 1000",
        errors=[{"pointer": "query limit", "detail": "Input should be less than or equal to 1000", "got": "'5000'"}])),
    428: ("If-Match is required.", _problem(
        428, "version-required", 'Send the entity tag of the version that you replace as If-Match, or "*".')),
    429: ("Too many requests, or too many failed logins.", _problem(
        429, "rate-limit", "The plan 'standard' allows 200 requests a second and bursts of 400. Try again in 1 s; the "
        "header RateLimit shows what is left.", **{"violated-policies": ["standard"]})),
    431: ("A header is too large.", _problem(
        431, "credential-too-large", "The header Authorization may have at most 16384 bytes, and Cookie 16384.")),
    500: ("The service failed unexpectedly.", _problem(
        500, "unexpected-error", "The service failed. Report the error id 6f1c0f0e-9d0b-4a35-9c1e-7f6a52c1b1de; the "
        "log has the cause.", error_id="6f1c0f0e-9d0b-4a35-9c1e-7f6a52c1b1de")),
    501: ("This host lacks a setting that the operation needs.", _problem(
        501, "not-configured", "This host cannot change publications, because it lacks the setting "
        "OKR_DSN_TRANSFORM.")),
    503: ("The service is overloaded, or a service that it needs is unavailable. The request can be repeated.",
        _problem(503, "overloaded", "Too many requests are in progress. Try again after the time in Retry-After.")),
}  # fmt: skip
_TEXT = {"schema": {"type": "string"}}
HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "The scheme of a valid login.", **_TEXT}},
    429: {"Retry-After": {"description": "Seconds to wait.", **_TEXT}},
    503: {"Retry-After": {"description": "Seconds to wait.", **_TEXT}},
}
ALWAYS = (400, 414, 422, 429, 431, 500, 503)
WITH_LOGIN = (401, 403)
WITH_BODY = (408, 413, 415)


def describe_errors(path: str, operation: Operation) -> None:
    """Add the errors that an operation may have in addition to its own, and an example to each of them."""
    statuses = {*ALWAYS, *(int(status) for status in operation["responses"] if int(status) in ERRORS)}
    if "security" in operation:
        statuses |= {*WITH_LOGIN}
    if "requestBody" in operation:
        statuses |= {*WITH_BODY}
    if "{" in path:
        statuses.add(404)
    for status in statuses:
        description, example = ERRORS[status]
        response = operation["responses"].setdefault(str(status), {"description": description})
        content = response.get("content", {})
        if not content or PROBLEM_MEDIA_TYPE in content:
            response["content"] = {PROBLEM_MEDIA_TYPE: {"schema": REFERENCE, "example": example}}
        if status in HEADERS and PROBLEM_MEDIA_TYPE in response["content"]:
            response["headers"] = HEADERS[status] | response.get("headers", {})
    operation["responses"] = dict(sorted(operation["responses"].items()))
