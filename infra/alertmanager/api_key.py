"""The API key with which Alertmanager reports alerts. It has one right, `report-alerts`."""

from pathlib import Path
from typing import TYPE_CHECKING

from infra.alertmanager.private_file import replace
from lakehouse.client_tls import ClientTls
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.http_client import http_client

if TYPE_CHECKING:
    import httpx

ACCOUNT, SCOPE, NAME = "app", "report-alerts", "Alertmanager"
TIMEOUT_S = 20.0
UNAUTHORIZED, FORBIDDEN = 401, 403


def ensure_key(api_url: str, admin: tuple[str, str], file: Path, ca_file: str = "", group: str = "") -> bool:
    """Write a new key into the file unless its key is valid. Return whether there is a new one.

    `admin` is the user name and password of an administrator of the installation. Only the owner of the file and the
    group may read it. An older key is not revoked: `okr api-key revoke` does it.

    Raises:
        RetryableError: the API does not respond.
        PermanentError: the API rejects the login or creates no key, or the file cannot be written.
    """
    import httpx

    try:
        with http_client(api_url, timeout_s=TIMEOUT_S, tls=ClientTls(ca_file)) as client:
            if file.is_file() and _is_valid(client, file.read_text(encoding="utf-8").strip()):
                return False
            key = _new_key(client, admin)
    except httpx.HTTPError as error:
        raise RetryableError(
            f"The API at {api_url} does not respond ({type(error).__name__}: {error}). Start it, then run this again."
        ) from error
    except OSError as error:
        raise PermanentError(f"{file} cannot be read ({error}).") from error
    replace(file, key, group)
    return True


def _is_valid(client: "httpx.Client", key: str) -> bool:
    """Return whether the API accepts a notification without alerts from this key."""
    if not key.isascii() or not key.isprintable() or not key:
        return False
    body = {"version": "4", "alerts": []}
    answer = client.post("/v1/alerts", json=body, headers={"Authorization": f"Bearer {key}"})
    if answer.status_code in (UNAUTHORIZED, FORBIDDEN):
        return False
    answer.raise_for_status()
    return True


def _new_key(client: "httpx.Client", admin: tuple[str, str]) -> str:
    username, password = admin
    login = client.post("/auth/token", data={"username": username, "password": password})
    if login.is_client_error:
        raise PermanentError(f"The API rejects the login {username!r} ({_detail(login)}).")
    token = login.raise_for_status().json()["access_token"]
    created = client.post(
        f"/admin/accounts/{ACCOUNT}/api-keys",
        json={"name": NAME, "scopes": [SCOPE]},
        headers={"Authorization": f"Bearer {token}"},
    )
    if created.is_client_error:
        raise PermanentError(f"The API created no key for the account {ACCOUNT!r} ({_detail(created)}).")
    return str(created.raise_for_status().json()["api_key"])


def _detail(answer: "httpx.Response") -> str:
    try:
        return f"{answer.status_code}: {answer.json().get('detail', '')}"
    except ValueError:
        return str(answer.status_code)
