"""A server that answers like Alertmanager's API, and the alerts that it shows."""

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RUNBOOKS = "https://git.example.org/okr/blob/main"


def current(number: int, severity: str = "warning", **fields: Any) -> dict[str, Any]:
    """Return an alert as Alertmanager's API shows it."""
    started_at = datetime.now(UTC) - timedelta(minutes=number + 5)
    return {
        "labels": {"alertname": f"Alert{number:04}", "severity": severity, "service": "api"},
        "annotations": {"summary": f"<b>Thing {number}</b> is at 93 %.", "runbook": "docs/runbooks/api-down.md"},
        "startsAt": started_at.isoformat().replace("+00:00", "Z"),
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
        "fingerprint": f"{number:016x}",
    } | fields


SWITCH = current(0, "none", labels={"alertname": "DeadMansSwitch", "severity": "none"})


class FakeAlertmanager:
    """It answers with `body`."""

    def __init__(self) -> None:
        self.body = b"[]"
        manager = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path == "/api/v2/alerts"
                self.send_response(200)
                self.end_headers()
                self.wfile.write(manager.body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, *alerts: dict[str, Any]) -> None:
        """Answer with these alerts."""
        self.body = json.dumps(alerts).encode()
