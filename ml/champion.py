"""Look up, set and roll back the champion: the registered version that serves unless a directive selects another one.

The champion is an alias in MLflow's registry. DAGs, commands and the API all look it up with `champion_version`.
"""

from dataclasses import dataclass
from typing import Any

from lakehouse.client_tls import ClientTls
from lakehouse.errors import NotPossible, PermanentError
from lakehouse.http_client import http_client
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.tls_problems import tls_problem
from ml.mlflow_client import NOT_FOUND_CODES, client, find_version, set_alias
from ml.model_registry import DIGEST, MODEL_NAME, resolve

CHAMPION = "champion"
PREVIOUS_CHAMPION_TAG, ROLLED_BACK_TAG = "champion_before", "rolled_back"  # tags of model versions
ALIAS_ENDPOINT = "/api/2.0/mlflow/registered-models/alias"  # in MLflow's public REST API since 2.3
SERVER_TIMEOUT_S = 3.0


def champion_version(settings: Settings, *, query_server: bool = False) -> str | None:
    """Return the champion's version number, or None if there is no champion or no registry yet.

    If `query_server` is true, query MLflow's server over HTTP and read the registry's store only if the server does not
    respond. Short-lived processes use this option because importing MLflow's client takes seconds.

    Raises:
        RetryableError: MLflow's store cannot be reached.
    """
    if query_server:
        try:
            return _query_server(settings)
        except (_NoResponseError, OSError) as error:
            get_logger(__name__).info(
                "MLflow's server did not name the champion; reading its store instead", reason=str(error)
            )
    return resolve(settings, CHAMPION)


def set_champion(settings: Settings, version: str | None) -> None:
    """Make a version the champion and record the previous champion in one of its tags.

    If `version` is None, remove the champion's alias, so that the prior serves forecasts.

    Raises:
        PermanentError: there is no such version.
    """
    with client(settings) as mlflow:
        previous = find_version(mlflow, MODEL_NAME, CHAMPION)
        if version is None:
            if previous is not None:
                mlflow.delete_registered_model_alias(MODEL_NAME, CHAMPION)
            return
        if find_version(mlflow, MODEL_NAME, version) is None:
            raise PermanentError(
                f"The registry has no version {version} of {MODEL_NAME} to make champion. `okr forecast models` lists "
                "all versions."
            )
        if previous is not None and str(previous.version) != version:
            mlflow.set_model_version_tag(MODEL_NAME, version, PREVIOUS_CHAMPION_TAG, str(previous.version))
        set_alias(mlflow, MODEL_NAME, CHAMPION, version)


@dataclass(frozen=True)
class Champions:
    """The version numbers of the current champion and of the earlier champions (newest first)."""

    current: str
    earlier: tuple[str, ...]


def champions(settings: Settings) -> Champions:
    """Return the current and the earlier champions.

    Raises:
        NotPossible: there is no champion.
    """
    with client(settings) as mlflow:
        return _champions(mlflow)


def rollback(settings: Settings, to: str) -> bool:
    """Restore an earlier champion. If it is already the champion, change nothing and return False.

    The promotion gate does not promote a version if a version with identical files was rolled back.

    Raises:
        NotPossible: there is no champion, `to` is not an earlier champion, or that version has been deleted.
    """
    with client(settings) as mlflow:
        known = _champions(mlflow)
        if known.current == to:
            return False
        if to not in known.earlier:
            earlier = f"Earlier champions: {', '.join(known.earlier) or 'none'}."
            raise NotPossible(f"Version {to} was not champion before version {known.current}. {earlier}")
        if find_version(mlflow, MODEL_NAME, to) is None:
            raise NotPossible(
                f"Version {to}, an earlier champion, has been deleted from the registry. `okr forecast models` lists "
                "all versions; `okr forecast promote VERSION` promotes one that beats the champion."
            )
        for version in (known.current, *known.earlier[: known.earlier.index(to)]):
            if find_version(mlflow, MODEL_NAME, version) is not None:
                mlflow.set_model_version_tag(MODEL_NAME, version, ROLLED_BACK_TAG, "true")
        set_alias(mlflow, MODEL_NAME, CHAMPION, to)
    return True


def was_rolled_back(settings: Settings, version: str) -> bool:
    """Return whether this version, or another version with identical files, was rolled back."""
    with client(settings) as mlflow:
        requested = find_version(mlflow, MODEL_NAME, version)
        sha256 = None if requested is None else requested.tags.get(DIGEST)
        if sha256 is None:
            return False
        found = mlflow.search_model_versions(f"name='{MODEL_NAME}'")
    return any(each.tags.get(ROLLED_BACK_TAG) and each.tags.get(DIGEST) == sha256 for each in found)


def _champions(mlflow: Any) -> Champions:
    champion = find_version(mlflow, MODEL_NAME, CHAMPION)
    if champion is None:
        raise NotPossible(
            "There is no champion, so the prior serves forecasts and nothing can be rolled back. "
            "`okr forecast models` lists all versions."
        )
    current, earlier = str(champion.version), list[str]()
    version: Any | None = champion
    while (
        version is not None
        and (previous := version.tags.get(PREVIOUS_CHAMPION_TAG))
        and previous not in {current, *earlier}
    ):
        earlier.append(previous)
        version = find_version(mlflow, MODEL_NAME, previous)
    return Champions(current, tuple(earlier))


class _NoResponseError(Exception):
    """The server is unreachable, rejects the login, or is not MLflow."""


def _query_server(settings: Settings) -> str | None:
    import httpx

    if not settings.mlflow_url:
        raise _NoResponseError("its address is not configured")
    login = (settings.mlflow_user, settings.mlflow_password.get_secret_value())
    try:
        tls = ClientTls.of(settings)
        with http_client(settings.mlflow_url, timeout_s=SERVER_TIMEOUT_S, tls=tls, auth=login) as http:
            response = http.get(ALIAS_ENDPOINT, params={"name": MODEL_NAME, "alias": CHAMPION})
        if response.is_success:
            return str(response.json()["model_version"]["version"])
        code = response.json().get("error_code")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = tls_problem(error, settings.mlflow_url) or f"{type(error).__name__}: {error}"
        raise _NoResponseError(reason) from error
    if code in NOT_FOUND_CODES:
        return None
    raise _NoResponseError(f"it responded with status {response.status_code}")
