"""Requests to one colour of the API, through its socket or through the link that nginx uses."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.http_client import http_client

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 2.0
WRONG_LOGIN = (400, 401, 403)
OK, SERVER_ERROR = 200, 500
DURATIONS = "okr_http_request_duration_seconds"
# Probes would dilute the share of errors, and a stream lasts as long as its caller wants.
NOT_COUNTED = ("/livez", "/readyz", "/health", "/metrics", "/v1/system-health/stream")


@dataclass(frozen=True)
class Requests:
    """Requests that a colour has answered since its start: all, those with status 5xx, and the number by duration."""

    total: float
    failed: float
    within_s: Mapping[float, float]
    """Number of requests that took at most so many seconds."""


class ColourClient:
    """A client of one socket. Each request has its own connection, as those of nginx have."""

    def __init__(self, socket: Path) -> None:
        import httpx

        self.token = ""
        """The access token, after `log_in`."""
        self._socket = socket
        transport = httpx.HTTPTransport(uds=str(socket), limits=httpx.Limits(max_keepalive_connections=0))
        self._client = http_client("http://localhost", timeout_s=TIMEOUT_S, transport=transport)

    def is_ready(self) -> bool:
        """Return whether the API may receive requests."""
        try:
            return self._send("GET", "/readyz", timeout=PROBE_TIMEOUT_S).status_code == OK
        except RetryableError:
            return False

    def log_in(self, account: str, password: str) -> None:
        """Log in for `predict`.

        Raises:
            PermanentError: the password is wrong.
            RetryableError: the API does not respond, or not as described.
        """
        answer = self._send("POST", "/auth/token", data={"username": account, "password": password})
        if answer.status_code in WRONG_LOGIN:
            raise PermanentError(
                f"The API did not accept the login of {account!r} ({answer.status_code}). Expected its password in "
                "OKR_APP_PASSWORD."
            )
        self.token = str(_field(self._read("POST", "/auth/token", answer), "access_token"))
        self._client.headers["Authorization"] = f"Bearer {self.token}"

    def log_out(self) -> None:
        """End the login."""
        self._send("POST", "/auth/logout")

    def active_version(self) -> str:
        """Return the version of the forecast model that serves.

        Raises:
            RetryableError: the API does not respond, or not as described.
        """
        return str(_field(self._document("GET", "/models"), "active", "version"))

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the predictions for rows of features.

        Raises:
            RetryableError: the API does not respond, or not as described.
        """
        body = {"features": list(rows), "reasons": False}
        return list(_field(self._document("POST", "/predict", json=body), "predictions"))

    def predict_one_by_one(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the predictions for rows, each from a request of its own.

        Raises:
            RetryableError: the API does not respond, or not as described.
        """
        answers = [self._document("POST", "/predict", json={"features": row}) for row in rows]
        return [_field(answer, "predictions", 0) for answer in answers]

    def requests(self, metrics_token: str) -> Requests:
        """Return what the colour has counted.

        Raises:
            RetryableError: the API does not respond.
            PermanentError: the token is wrong.
        """
        from prometheus_client.parser import text_string_to_metric_families

        answer = self._send("GET", "/metrics", headers={"Authorization": f"Bearer {metrics_token}"})
        if answer.status_code != OK:
            raise PermanentError(f"GET /metrics: expected status 200, got {answer.status_code}. Is the token right?")
        total = failed = 0.0
        within_s: dict[float, float] = {}
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples if family.name == DURATIONS else ():
                if sample.labels["route"] in NOT_COUNTED:
                    continue
                if sample.name.endswith("_count"):
                    total += sample.value
                    failed += sample.value if int(sample.labels["status"]) >= SERVER_ERROR else 0.0
                elif sample.name.endswith("_bucket"):
                    bound = float(sample.labels["le"])
                    within_s[bound] = within_s.get(bound, 0.0) + sample.value
        return Requests(total, failed, within_s)

    def wait_until_ready(self, seconds: float, is_alive: Callable[[], bool]) -> None:
        """Wait for `/readyz`.

        Raises:
            RetryableError: the process has ended, or is not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if not is_alive():
                raise RetryableError("The process ended before it was ready.")
            if time.monotonic() > deadline:
                raise RetryableError(f"The API was not ready after {seconds:.0f} s.")
            time.sleep(0.1)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _document(self, method: str, path: str, **options: Any) -> Any:
        return self._read(method, path, self._send(method, path, **options))

    @staticmethod
    def _read(method: str, path: str, answer: "httpx.Response") -> Any:
        if answer.status_code != OK:
            raise RetryableError(f"{method} {path}: expected status 200, got {answer.status_code}: {answer.text[:300]}")
        try:
            return answer.json()
        except ValueError as error:
            raise RetryableError(f"{method} {path}: expected JSON, got {answer.text[:300]!r}.") from error

    def _send(self, method: str, path: str, **options: Any) -> "httpx.Response":
        import httpx

        try:
            return self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise RetryableError(f"{method} {path} on {self._socket}: {type(error).__name__}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _field(document: Any, *path: str | int) -> Any:
    """Return a part of an answer.

    Raises:
        RetryableError: the answer does not have it.
    """
    found = document
    try:
        for name in path:
            found = found[name]
    except (LookupError, TypeError) as error:
        names = ".".join(map(str, path))
        raise RetryableError(f"Expected the field {names} in the API's answer, got {str(document)[:300]}.") from error
    return found
