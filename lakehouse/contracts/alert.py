"""Contracts of events about alerts."""

from typing import Annotated, Literal

import msgspec

from lakehouse.contracts.fields import Id, Moment, Title
from lakehouse.contracts.registry import event

# Prometheus' label names, which may have capital letters. The receiver shortens longer values (serving/alerts).
AlertLabelName = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
ShortText = Annotated[str, msgspec.Meta(max_length=256)]


@event("okr.alert.changed.v1", topic="okr_data_pipeline", key="fingerprint")
class AlertChanged(msgspec.Struct, kw_only=True, frozen=True):
    """An alert started firing or was resolved, as Alertmanager has reported it.

    `fingerprint` identifies the alert's labels, and with `starts_at` one period of firing. `labels` must never contain
    the id, name or address of a person.
    """

    fingerprint: Id
    alert: ShortText
    status: Literal["firing", "resolved"]
    starts_at: Moment
    ends_at: Moment | None = None
    severity: ShortText | None = None
    service: ShortText | None = None
    summary: Title | None = None
    runbook: Title | None = None
    labels: Annotated[dict[AlertLabelName, ShortText], msgspec.Meta(max_length=32)] = {}
