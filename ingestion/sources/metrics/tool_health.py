"""Ask Airflow and MLflow whether they work, by the pages that need no login."""

from collections.abc import Iterator

from ingestion.sources.metrics.families import Reading
from lakehouse.client_tls import ClientTls
from lakehouse.http_client import http_client
from lakehouse.settings import Settings

ANSWER_SECONDS = 5.0
COMPONENTS = ("scheduler", "dag_processor", "triggerer")


def airflow_up(settings: Settings) -> Iterator[Reading]:
    """Yield whether Airflow's API server responds, and whether it sees heartbeats of the other components."""
    health = _json(settings, settings.airflow_url, "/api/v2/monitor/health")
    yield _up("airflow-api-server", is_up=health is not None)
    for name in COMPONENTS if health is not None else ():
        status = (health or {}).get(name, {}).get("status")
        if status is not None:  # null: this installation has never had the component
            yield _up(f"airflow-{name.replace('_', '-')}", is_up=status == "healthy")


def mlflow_up(settings: Settings) -> Iterator[Reading]:
    """Yield whether MLflow's server responds."""
    yield _up("mlflow", is_up=_json(settings, settings.mlflow_url, "/health") is not None)


def _json(settings: Settings, url: str, path: str) -> dict[str, dict[str, str]] | None:
    """Return the JSON object of a successful answer (empty if its body is another one), or None without one."""
    import httpx

    try:
        with http_client(url, timeout_s=ANSWER_SECONDS, tls=ClientTls.of(settings)) as client:
            response = client.get(f"{url.rstrip('/')}{path}")
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    if not response.is_success:
        return None
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _up(component: str, *, is_up: bool) -> Reading:
    return Reading("okr_component_up", float(is_up), {"component": component})
