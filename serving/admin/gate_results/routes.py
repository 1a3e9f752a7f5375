"""/admin/gate-results."""

from typing import Annotated, Literal

from fastapi import Depends, Path, Query

from serving.admin.gate_results.schemas import EXAMPLE, GateReportResponse, GateResultsResponse
from serving.admin.routing import IsOperator, Limit, PageCursor, admin_router, described
from serving.services import ServicesDep

router = admin_router("gate results")
PAGE = {"gate_results": [EXAMPLE], "next_cursor": None}
REPORT = {**EXAMPLE, "report": {"gate": "marts", "passed": True, "suites": []}}


@router.get("/gate-results", dependencies=[Depends(IsOperator)], **described("List gate results", PAGE))
def gate_results(
    services: ServicesDep,
    gate: Annotated[
        Literal["raw", "marts", "published"] | None, Query(description="Only results of this gate.")
    ] = None,
    passed: Annotated[bool | None, Query(description="Only results that passed, or only failed ones.")] = None,
    limit: Limit = 100,
    cursor: PageCursor = None,
) -> GateResultsResponse:
    """List the results of quality gates, newest first."""
    page = services.admin.gate_results.page(limit, cursor, gate=gate, passed=passed)
    return GateResultsResponse.model_validate({"gate_results": page.items, "next_cursor": page.next_cursor})


@router.get(
    "/gate-results/{gate_result_id}",
    dependencies=[Depends(IsOperator)],
    **described("Get the report of a gate", REPORT, 404),
)
def gate_result(services: ServicesDep, gate_result_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> GateReportResponse:
    """Return a gate result with its report: each suite, its failed rules, and examples of rows."""
    return GateReportResponse.model_validate(services.admin.gate_results.get(gate_result_id))
