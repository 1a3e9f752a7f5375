"""A client of Airflow's REST API v2, with a separate login. It only reads DAGs and starts runs.

Airflow's SimpleAuthManager has four roles. The login has `user`, the least privileged role that may start runs. `user`
may also change and delete runs and pause DAGs, but not change connections, variables or pools.
"""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lakehouse.client_tls import ClientTls
from lakehouse.errors import RetryableError
from lakehouse.http_client import http_client
from lakehouse.settings import Settings
from lakehouse.tls_problems import tls_problem
from serving.admin.operator_settings import operator_setting
from serving.errors import NotApplicable, NotConfigured, NotFound
from serving.processes.connection_gate import ConnectionGate

if TYPE_CHECKING:
    import httpx

CONNECT_S, ANSWER_S = 2.0, 10.0  # a request takes at most twice their sum: it may have to log in first
WAIT_S = 5.0  # for the login of another thread
SETTINGS = ("airflow_url", "airflow_serving_user", "airflow_serving_password")
CONFLICT = 409
AWAY = (
    "Airflow does not respond ({error}). `okr status` shows whether airflow-api-server runs. Try again; with the same "
    "Idempotency-Key, a run is started only once."
)


class AlreadyExists(Exception):
    """Airflow has a run with this id."""


class Airflow:
    """Sends requests to Airflow, and logs in when necessary. Thread-safe.

    After a request that Airflow does not answer, the next one logs in again. Logins pass a gate, so that the requests
    that find Airflow frozen do not each occupy a thread until their time limit.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._creating = threading.Lock()
        self._logging_in = ConnectionGate("Airflow", 1, WAIT_S)
        self._http: httpx.Client | None = None
        self._token = ""

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()

    def get(self, *path: str, **parameters: Any) -> dict[str, Any]:
        """Send GET /api/v2/<path>, and return the body.

        Raises:
            NotFound: Airflow has nothing there.
            NotConfigured: this host has no login, or Airflow rejects it.
            RetryableError: Airflow is unavailable.
        """
        return self._send("GET", path, params=parameters)

    def post(self, *path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send POST /api/v2/<path>, and return the body.

        Raises:
            AlreadyExists: there is such an object already.
            NotApplicable: Airflow rejects the body.
            NotFound, NotConfigured, RetryableError: as in `get`.
        """
        return self._send("POST", path, json=dict(body))

    def _send(self, method: str, path: tuple[str, ...], **parts: Any) -> dict[str, Any]:
        import httpx

        url = "/api/v2/" + "/".join(quote(part, safe="~") for part in path)
        token = ""
        try:
            http = self._client()
            token = self._token or self._log_in(http, "")
            answer = http.request(method, url, headers={"Authorization": f"Bearer {token}"}, **parts)
            if answer.status_code == httpx.codes.UNAUTHORIZED:  # the token has expired, or Airflow has a new secret
                token = self._log_in(http, token)
                answer = http.request(method, url, headers={"Authorization": f"Bearer {token}"}, **parts)
            return self._body(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if isinstance(error, httpx.TransportError) and token == self._token:
                self._token = ""
                self._logging_in.report_failure()
            reason = tls_problem(error, self._settings.airflow_url) or type(error).__name__
            raise RetryableError(AWAY.format(error=reason.rstrip("."))) from error
        except (ValueError, LookupError, TypeError) as error:  # not JSON, or without the documented fields
            raise RetryableError(
                "The server at OKR_AIRFLOW_URL does not answer like Airflow's API "
                f"({type(error).__name__}). Has Airflow started?"
            ) from error

    def _client(self) -> "httpx.Client":
        with self._creating:
            if self._http is None:
                import httpx

                url, *_ = self._login_settings()
                http = http_client(url.rstrip("/"), timeout_s=ANSWER_S, tls=ClientTls.of(self._settings))
                http.timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
                self._http = http
            return self._http

    def _log_in(self, http: "httpx.Client", rejected: str) -> str:
        """Return a token other than the rejected one. Only one thread logs in at a time, and all share its failure."""
        import httpx

        with self._logging_in.passing():
            if self._token in {"", rejected}:
                _, user, password = self._login_settings()
                try:
                    answer = http.post("/auth/token", json={"username": user, "password": password})
                except httpx.TransportError:
                    self._logging_in.report_failure()
                    raise
                self._logging_in.report_success()
                if answer.status_code in {400, 401, 403, 422}:
                    raise NotConfigured(
                        f"Airflow rejects the login {user!r} of this host. Check OKR_AIRFLOW_SERVING_PASSWORD, which "
                        "`okr up` gives to both."
                    )
                self._token = str(answer.raise_for_status().json()["access_token"])
            return self._token

    def _login_settings(self) -> list[str]:
        return [operator_setting(self._settings, name, "reach Airflow") for name in SETTINGS]

    @staticmethod
    def _body(answer: "httpx.Response") -> dict[str, Any]:
        match answer.status_code:
            case 404:
                raise NotFound("Airflow knows no such DAG, run or task.")
            case 403:
                raise NotConfigured("Airflow does not permit this host's login to do this (role `user` is required).")
            case 409:
                raise AlreadyExists
            case 400 | 422:
                raise NotApplicable(f"Airflow rejects the request: {str(answer.json().get('detail', ''))[:300]}")
            case _:
                body: dict[str, Any] = answer.raise_for_status().json()
                return body
