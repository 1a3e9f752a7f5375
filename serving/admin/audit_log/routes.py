"""/admin/audit-log: the functions of `okr audit`."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel, Field, StringConstraints

from serving.admin.routing import IsOperator, Limit, PageCursor, admin_router, described
from serving.auth.audit_verification import verify
from serving.schemas import Name
from serving.services import ServicesDep

router = admin_router("audit log")
EXAMPLE = {
    "event_id": 812, "occurred_at": "2026-11-20T13:00:00Z", "actor": "admin", "action": "publication.rolled_back",
    "subject": "42", "outcome": "success", "address": "192.0.2.7", "details": {"restored": 41, "is_changed": True},
}  # fmt: skip


EXAMPLE_REPORT = {
    "is_intact": True, "events": 812, "newest_id": 812, "newest_hash": "9f2c" * 16, "not_verified": 0,
    "problems": [],
}  # fmt: skip
SHOWN_PROBLEMS = 20
SealKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


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


class VerificationResponse(BaseModel):
    """The result of a verification."""

    is_intact: bool
    events: int
    newest_id: int
    newest_hash: str
    not_verified: int = Field(
        description="Events whose seal was not verified, because only the id of its key is known."
    )
    problems: list[str] = Field(description="The problems that were found, at most 20.")


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
    subject: Annotated[Name | None, Query(description="Only events about this subject, e.g. a user name.")] = None,
    limit: Limit = 100,
    cursor: PageCursor = None,
) -> AuditLogResponse:
    """List the events of the audit log, newest first. Its verification detects changed events."""
    page = services.admin.audit_events.page(limit, cursor, subject=subject)
    return AuditLogResponse.model_validate({"audit_events": page.items, "next_cursor": page.next_cursor})


@router.get(
    "/audit-log/verification", dependencies=[Depends(IsOperator)], **described("Verify the audit log", EXAMPLE_REPORT)
)
def verification(
    services: ServicesDep,
    expect_id: Annotated[int, Query(ge=0, le=2**63 - 1, description="Id of an event that the log must contain.")] = 0,
    expect_hash: Annotated[
        str, StringConstraints(pattern=r"^([0-9a-f]{64})?$"), Query(description="Hash of that event.")
    ] = "",
    accept_key: Annotated[
        list[SealKey],
        Query(max_length=20, description="Ids of keys that sealed events under earlier values of OKR_JWT_SECRET."),
    ] = [],  # noqa: B006 -- FastAPI copies it
) -> VerificationResponse:
    """Check that no event was changed, removed or inserted. This reads the whole log.

    To detect as well that the newest events were removed, keep `newest_id` and `newest_hash`, and send them with the
    next verification. An event that is sealed with an earlier key is a problem unless `accept_key` contains the key's
    id. Such seals are not verified here; `okr audit verify` can verify them.
    """
    report = verify(
        services.warehouse, services.auth.chain, accepted=accept_key, expected_id=expect_id, expected_hash=expect_hash
    )
    fields = vars(report) | {"is_intact": not report.problems, "problems": report.problems[:SHOWN_PROBLEMS]}
    return VerificationResponse.model_validate(fields)
