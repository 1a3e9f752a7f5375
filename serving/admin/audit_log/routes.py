"""/admin/audit-log."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from serving.admin.routing import IsOperator, Limit, PageCursor, admin_router, described
from serving.schemas import Name
from serving.services import ServicesDep

router = admin_router("audit log")
EXAMPLE = {
    "event_id": 812, "occurred_at": "2026-11-20T13:00:00Z", "actor": "admin", "action": "publication.rolled_back",
    "subject": "42", "outcome": "success", "address": "192.0.2.7", "details": {"restored": 41, "is_changed": True},
}  # fmt: skip


class AuditEventRecord(BaseModel):
    """An event of the audit log."""

    event_id: int = Field(description="Position in the log, without gaps.")
    occurred_at: datetime
    actor: str = Field(description="An account, or `os:<user>` for a command.")
    action: str
    subject: str
    outcome: str
    address: str | None
    details: dict[str, Any]


class AuditLogResponse(BaseModel):
    """A page of the audit log, newest first."""

    audit_events: list[AuditEventRecord]
    next_cursor: str | None


@router.get(
    "/audit-log",
    dependencies=[Depends(IsOperator)],
    **described("List audit events", {"audit_events": [EXAMPLE], "next_cursor": None}),
)
def audit_log(
    services: ServicesDep,
    subject: Annotated[Name | None, Query(description="Only events about this, e.g. a user name.")] = None,
    limit: Limit = 100,
    cursor: PageCursor = None,
) -> AuditLogResponse:
    """List the events of the audit log, newest first. `okr audit verify` checks that none was changed or removed."""
    page = services.admin.audit_events.page(limit, cursor, subject=subject)
    return AuditLogResponse.model_validate({"audit_events": page.items, "next_cursor": page.next_cursor})
