"""Requests of an operator to the admin API."""

from typing import Any

from psycopg.rows import dict_row

from lakehouse.warehouse import connect
from tests.serving.live_server import Api

PASSWORD = "a long password of a test"


class OperatorClient:
    """The admin API as the account admin sees it, or the caller with other headers."""

    def __init__(self, api: Api, headers: dict[str, str] | None = None) -> None:
        self.api = api
        self.headers = headers or api.headers("admin")

    def get(self, path: str, status: int = 200, **parameters: Any) -> dict[str, Any]:
        """Send GET /admin<path>, and return the body if the response has the expected status."""
        return self._send("GET", path, status, params=parameters)

    def post(self, path: str, body: Any = None, status: int = 200, **parts: Any) -> dict[str, Any]:
        """Send POST /admin<path>, and return the body if the response has the expected status."""
        return self._send("POST", path, status, json=body, **parts)

    def patch(self, path: str, body: Any, status: int = 200) -> dict[str, Any]:
        """Send PATCH /admin<path>, and return the body if the response has the expected status."""
        return self._send("PATCH", path, status, json=body)

    def new_account(self, username: str, role: str, password: str = PASSWORD, **fields: Any) -> "OperatorClient":
        """Create an account, choose its password with the one-time password, and return its client."""
        created = self.post("/accounts", {"username": username, "role": role, **fields}, status=201)
        first = {"username": username, "password": created["one_time_password"]}
        answer = self.api.client.post("/auth/password", json={**first, "new_password": password})
        assert answer.status_code == 204, answer.text
        return OperatorClient(self.api, self.logged_in(username, password))

    def logged_in(self, username: str, password: str = PASSWORD) -> dict[str, str]:
        """Return the header of a new token."""
        answer = self.api.client.post("/auth/token", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def status(self, path: str = "/auth/me") -> int:
        """Return the status of a request with these headers."""
        return self.api.client.get(path, headers=self.headers).status_code

    def put(self, path: str, body: Any, status: int = 200) -> dict[str, Any]:
        """Send PUT /admin<path>, and return the body if the response has the expected status."""
        return self._send("PUT", path, status, json=body)

    def delete(self, path: str, status: int = 200) -> dict[str, Any]:
        """Send DELETE /admin<path>, and return the body if the response has the expected status."""
        return self._send("DELETE", path, status)

    def pages(self, path: str, rows: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the rows of all pages of a list."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self.get(path, **parameters, **({} if cursor is None else {"cursor": cursor}))
            found += page[rows]
            if (cursor := page["next_cursor"]) is None:
                return found

    def audited(self, action: str) -> list[dict[str, Any]]:
        """Return what the audit log has on an action, oldest first."""
        query = (
            "SELECT actor, subject, outcome, address, details FROM auth.audit_event WHERE action = %s ORDER BY event_id"
        )
        dsn = self.api.settings.require("dsn_serving")
        with connect(dsn) as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, (action,)).fetchall()

    def _send(self, method: str, path: str, status: int, headers: Any = None, **parts: Any) -> dict[str, Any]:
        sent = {**self.headers, **(headers or {})}
        answer = self.api.client.request(method, f"/admin{path}", headers=sent, **parts)
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        return body
