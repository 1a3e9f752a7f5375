"""Which forecast model answers now, for the publication to name."""

from lakehouse.http_client import http_client
from lakehouse.logs import get_logger
from lakehouse.settings import Settings

ALIAS = "/api/2.0/mlflow/registered-models/alias"  # MLflow's REST API, public since 2.3
ANSWER_S = 3.0


def champion_version(settings: Settings) -> str | None:
    """Return the champion's version; None where there is none, or no registry yet.

    MLflow's server is asked first: importing MLflow takes seconds that every publication would wait for. Where the
    server does not answer, its store is.

    Raises:
        RetryableError: MLflow's store cannot be reached either.
    """
    from ml.model_registry import CHAMPION, MODEL_NAME, resolve

    try:
        return _ask_server(settings, MODEL_NAME, CHAMPION)
    except (_NoAnswerError, OSError) as error:
        get_logger(__name__).info("MLflow's server is not asked for the champion, its store is", why=str(error))
    return resolve(settings, CHAMPION)


class _NoAnswerError(Exception):
    """The server is away, refuses the login, or is not MLflow."""


def _ask_server(settings: Settings, model: str, alias: str) -> str | None:
    import httpx

    if not settings.mlflow_url:
        raise _NoAnswerError("there is no address of it")
    login = (settings.mlflow_user, settings.mlflow_password.get_secret_value())
    try:
        with http_client(settings.mlflow_url, timeout_s=ANSWER_S, auth=login) as http:
            answer = http.get(ALIAS, params={"name": model, "alias": alias})
        if answer.is_success:
            return str(answer.json()["model_version"]["version"])
        code = answer.json().get("error_code")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _NoAnswerError(f"{type(error).__name__}: {error}") from error
    if code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:  # no such model, no such alias
        return None
    raise _NoAnswerError(f"it answers with status {answer.status_code}")
