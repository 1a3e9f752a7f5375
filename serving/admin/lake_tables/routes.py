"""/admin/lake-tables: the function of `okr lake status`."""

from typing import Any

from fastapi import Depends
from pydantic import BaseModel, Field

from ingestion.lake_status import lake_status
from serving.admin.operator_settings import operator_setting
from serving.admin.routing import IsOperator, admin_router, described
from serving.services import ServicesDep

router = admin_router("lake")
EXAMPLE = {
    "topic": "okr_user_events", "version": 812, "files": 41, "small_files": 3, "rows": 133_976, "bytes": 9_812_004,
    "log_files": 40, "maintenance": None,
}  # fmt: skip


class LakeTableRecord(BaseModel):
    """The landing table of a topic, according to its Delta log."""

    topic: str
    version: int | None = Field(description="Null if nothing has landed yet.")
    files: int
    small_files: int = Field(description="Files that compaction will join.")
    rows: int
    bytes: int
    log_files: int
    maintenance: dict[str, Any] | None = Field(description="What the last maintenance run did; null if there was none.")


class LakeTablesResponse(BaseModel):
    """All landing tables."""

    lake_tables: list[LakeTableRecord]


@router.get(
    "/lake-tables",
    dependencies=[Depends(IsOperator)],
    **described("List the landing tables of the lake", {"lake_tables": [EXAMPLE]}, 501),
)
def lake_tables(services: ServicesDep) -> LakeTablesResponse:
    """Return the state of each landing table, without opening data files."""
    tables = lake_status(operator_setting(services.settings, "lake_uri", "read the lake"))
    return LakeTablesResponse.model_validate({"lake_tables": tables})
