"""POST /v1/check-ins and PUT /v1/check-ins/{check_in_id}."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from serving.auth.authorization import RequireToken
from serving.auth.roles import Identity, Right
from serving.check_ins.schemas import CheckIn, CheckInAccepted, CheckInContent, Correction
from serving.check_ins.service import Accepted, Content
from serving.data.lists.documentation import described
from serving.http.idempotency import KEY_REUSED, IdempotencyKey
from serving.http.strict_requests import StrictRoute
from serving.schemas import Id
from serving.services import ServicesDep

router = APIRouter(prefix="/v1/check-ins", tags=["check-ins"], route_class=StrictRoute)

Recorder = Annotated[Identity, Depends(RequireToken(Right.RECORD))]
EXAMPLE = {
    "event_id": "0199c2c4-6f0e-7c1a-8d5e-3b7a52f0c9aa", "check_in_id": "ci-204", "key_result_id": "kr-nps",
    "occurred_at": "2026-11-20T12:00:00Z", "is_acknowledged": True, "warnings": [],
}  # fmt: skip
RESPONSES = {**described(EXAMPLE, 401, 403, 404, 422, 503, status=202), 409: KEY_REUSED}


@router.post("", status_code=202, summary="Record a check-in", responses=RESPONSES)
def record_check_in(  # noqa: PLR0913, PLR0917 -- the parts of the request
    check_in: CheckIn,
    identity: Recorder,
    services: ServicesDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    allow_unknown: Annotated[
        bool, Query(description="Accept a check-in for a key result that is not defined yet, with a warning.")
    ] = False,
) -> CheckInAccepted:
    """Record a check-in with the current time.

    If the broker is unavailable, the check-in is sent later and `is_acknowledged` is false.

    Repeating a request with the same `Idempotency-Key` or `check_in_id` returns the first response and changes nothing.
    If the check-in could not be persisted, the status is 503. Send it again with the `check_in_id` from the response.
    """
    accepted = services.check_ins.record(
        check_in.key_result_id, _content(check_in), identity,
        check_in_id=check_in.check_in_id, idempotency_key=idempotency_key, allow_unknown=allow_unknown,
    )  # fmt: skip
    return _response_body(accepted, response)


@router.put("/{check_in_id:entity_id}", status_code=202, summary="Correct a check-in", responses=RESPONSES)
def correct_check_in(  # noqa: PLR0913, PLR0917 -- the parts of the request
    check_in_id: Annotated[Id, Path(description="The check-in to correct.")],
    correction: Correction,
    identity: Recorder,
    services: ServicesDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> CheckInAccepted:
    """Replace the content of a check-in. Its time and its key result do not change."""
    accepted = services.check_ins.correct(
        check_in_id, correction.key_result_id, _content(correction), identity, idempotency_key
    )
    return _response_body(accepted, response)


def _content(body: CheckInContent) -> Content:
    return Content(body.value, body.confidence, body.note, body.is_final)


def _response_body(accepted: Accepted, response: Response) -> CheckInAccepted:
    response.headers["Location"] = f"/v1/events/{accepted.event_id}"
    if accepted.is_repeat:
        response.headers["Idempotent-Replayed"] = "true"
    return CheckInAccepted.model_validate(
        {
            "event_id": str(accepted.event_id), "check_in_id": accepted.check_in_id,
            "key_result_id": accepted.key_result_id, "occurred_at": accepted.occurred_at,
            "is_acknowledged": accepted.is_acknowledged, "warnings": accepted.warnings,
        }
    )  # fmt: skip
