"""/admin/rejected-messages."""

from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query
from pydantic import StringConstraints
from starlette.responses import Response

from serving.admin.rejected_messages.schemas import EXAMPLE, RejectedMessageRecord, RejectedMessagesResponse
from serving.admin.routing import IsOperator, PageCursor, admin_router, described
from serving.services import ServicesDep

router = admin_router("rejected messages")
Topic = Literal["okr_user_events", "okr_system_metrics", "okr_ai_predictions", "okr_data_pipeline"]
Reason = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
Number = Annotated[int, Path(ge=0, le=2**63 - 1)]
LARGEST_PAGE = 100  # messages may have a megabyte each
PAGE = {"rejected_messages": [EXAMPLE], "by_reason": {"not_json": 1}, "next_cursor": None}
BYTES: dict[str, Any] = described("Get the bytes of a rejected message", None, 404, 501)
BYTES["responses"][200] = {"content": {"application/octet-stream": {"example": "{"}}, "description": "The raw value."}


@router.get("/rejected-messages", dependencies=[Depends(IsOperator)], **described("List rejected messages", PAGE, 501))
def rejected_messages(
    services: ServicesDep,
    topic: Annotated[Topic | None, Query(description="Only messages of this topic.")] = None,
    reason: Annotated[Reason | None, Query(description="Only messages with this reason, e.g. `not_json`.")] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Maximum number of messages.")] = 20,
    cursor: PageCursor = None,
) -> RejectedMessagesResponse:
    """List the messages that violate their contract, newest first, with their raw keys, values and headers."""
    page, by_reason = services.admin.rejected_messages.page(limit, cursor, topic=topic, reason=reason)
    found = [RejectedMessageRecord.model_validate(each.as_json()) for each in page.items]
    return RejectedMessagesResponse(rejected_messages=found, by_reason=by_reason, next_cursor=page.next_cursor)


@router.get(
    "/rejected-messages/{topic}/{partition}/{offset}",
    dependencies=[Depends(IsOperator)],
    **described("Get a rejected message", EXAMPLE, 404, 501),
)
def rejected_message(topic: Topic, partition: Number, offset: Number, services: ServicesDep) -> RejectedMessageRecord:
    """Return the message that was rejected at this position of the log."""
    found = services.admin.rejected_messages.get(topic, partition, offset)
    return RejectedMessageRecord.model_validate(found.as_json())


@router.get(
    "/rejected-messages/{topic}/{partition}/{offset}/value",
    dependencies=[Depends(IsOperator)],
    response_class=Response,
    **BYTES,
)
def value(topic: Topic, partition: Number, offset: Number, services: ServicesDep) -> Response:
    """Return the raw value of a rejected message as a file, exactly as it was sent. It is empty if there is none."""
    found = services.admin.rejected_messages.get(topic, partition, offset)
    name = f"{topic}-{partition}-{offset}.bin"
    return Response(
        found.value or b"",
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
