"""Notifications as Alertmanager sends them."""

from datetime import UTC, datetime, timedelta
from typing import Any

YEAR_1 = "0001-01-01T00:00:00Z"
START = datetime(2026, 11, 20, 12, 0, 0, 123_456, tzinfo=UTC)


def alert(number: int = 0, *, status: str = "firing", **labels: str) -> dict[str, Any]:
    """Return an alert. The same number gives the same alert, and one that is resolved has ended after 5 minutes."""
    name = {"alertname": "ApiDown", "severity": "critical", "service": "api", "instance": f"host-{number}:8000"}
    return {
        "status": status,
        "labels": name | labels,
        "annotations": {
            "summary": f"The API at host-{number}:8000 has not responded for 1 min.",
            "runbook": "docs/runbooks/api-down.md",
        },
        # Go writes nanoseconds.
        "startsAt": START.isoformat().replace("+00:00", "789Z"),
        "endsAt": (START + timedelta(minutes=5)).isoformat() if status == "resolved" else YEAR_1,
        "generatorURL": f"http://prometheus:9090/graph?g0.expr=up%7Bjob%3D%22api%22%7D+%3D%3D+0&g0.tab=1#{'x' * 200}",
        "fingerprint": f"{number:016x}",
    }


def notification(*alerts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the body of a notification with all fields that Alertmanager 0.25 sends."""
    return {
        "receiver": "okr-api",
        "status": alerts[0]["status"] if alerts else "resolved",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": '{}/{}:{alertname="ApiDown"}',
        "truncatedAlerts": 0,
    } | fields
