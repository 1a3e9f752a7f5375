"""Responses of /admin/gate-results."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

EXAMPLE = {
    "gate_result_id": 90, "gate": "marts", "run_id": "scheduled__2026-11-20T12:05:00+00:00",
    "validated_at": "2026-11-20T12:09:00Z", "passed": True, "checked_rows": 25_000, "expectations": 140, "failed": 0,
}  # fmt: skip


class GateResult(BaseModel):
    """A result of a quality gate, with the numbers of checked rows and expectations."""

    gate_result_id: int
    gate: str
    run_id: str
    validated_at: datetime
    passed: bool
    checked_rows: int
    expectations: int
    failed: int


class GateResultsResponse(BaseModel):
    """A page of gate results, newest first."""

    gate_results: list[GateResult]
    next_cursor: str | None


class GateReportResponse(GateResult):
    """A gate result with its report."""

    report: dict[str, Any] = Field(description="The suites, their failed rules, and examples of rows.")
