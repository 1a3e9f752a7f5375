"""`okr status` and `okr env`: services, memory, addresses, logins, the publication and its holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import psycopg

from infra.local.monitoring import address, installed
from infra.local.processes import proportional_bytes, stack_processes
from infra.local.services import services_of
from infra.local.stack import Stack
from infra.local.supervisor import Supervisor
from lakehouse import quarantine
from lakehouse.errors import OkrError
from lakehouse.publishing import hold_reasons, publication
from lakehouse.settings import Settings

# The names that `okr env` prints, with the names of their values in stack.env.
USER_VARIABLES = {
    "OKR_API_URL": "OKR_API_URL",
    "OKR_AIRFLOW_URL": "OKR_AIRFLOW_URL",
    "OKR_MLFLOW_URL": "OKR_MLFLOW_URL",
    "OKR_WAREHOUSE_DSN": "OKR_DSN_ANALYST",
    "OKR_LAKE_URI": "OKR_LAKE_URI",
    "OKR_KAFKA_BOOTSTRAP": "OKR_KAFKA_BOOTSTRAP",
}


@dataclass(frozen=True)
class ServiceStatus:
    """A service. `state` is reported by the supervisor; `memory_bytes` is the PSS of its processes."""

    name: str
    state: str
    pid: int | None
    memory_bytes: int
    log: str


@dataclass(frozen=True)
class Endpoint:
    """A page or server for users, with its address and login."""

    name: str
    address: str
    login: str


def user_environment(stack: Stack) -> dict[str, str]:
    """Return the variables for users. The only secrets among them are the logins of the analyst and for Redis."""
    variables = {name: stack.env[source] for name, source in USER_VARIABLES.items()}
    return variables | {"OKR_DOCS_URL": f"{stack.env['OKR_API_URL']}/catalog/"}


def endpoints(stack: Stack) -> list[Endpoint]:
    """Return all pages and servers for users, with their addresses and logins."""
    env = stack.env
    lead, admin = f"lead / {env['OKR_LEAD_PASSWORD']}", f"admin / {env['OKR_ADMIN_PASSWORD']}"
    pages, airflow, mlflow = stack.public_url, env["OKR_AIRFLOW_URL"], env["OKR_MLFLOW_URL"]
    authority = []
    if stack.has_tls:
        airflow, mlflow = f"{pages}/airflow/", f"{pages}/mlflow/"
        authority = [Endpoint("Certificate authority", str(stack.state / "tls" / "ca.pem"), "of the https addresses")]
    return [
        Endpoint("Scorecard page", f"{pages}/", lead),
        Endpoint("API documentation", f"{pages}/docs", f"app / {env['OKR_APP_PASSWORD']}, {admin}"),
        Endpoint("dbt docs", f"{pages}/catalog/", lead),
        Endpoint("Data Docs", f"{pages}/quality/", lead),
        Endpoint("Airflow", airflow, f"{env['OKR_AIRFLOW_USER']} / {env['OKR_AIRFLOW_PASSWORD']}"),
        Endpoint("MLflow", mlflow, f"{env['OKR_MLFLOW_USER']} / {env['OKR_MLFLOW_PASSWORD']}"),
        *authority,
        *_monitoring_endpoints(stack),
        Endpoint("Warehouse (SQL, marts)", env["OKR_DSN_ANALYST"], "analyst, in the address"),
        Endpoint("Kafka", env["OKR_KAFKA_BOOTSTRAP"], "none: loopback only"),
    ]


def _monitoring_endpoints(stack: Stack) -> list[Endpoint]:
    if not stack.has_monitoring:
        return []
    names = {kind.name for kind in installed()} & {"prometheus", "alertmanager"}
    return [
        Endpoint(name.capitalize(), f"http://{address(stack, name)}", "none: loopback only") for name in sorted(names)
    ]


def publication_lines(settings: Settings) -> list[str]:
    """Describe the current publication and each hold, which explains why there is no newer one."""
    dsn = settings.require("dsn_serving")
    try:
        published, held = publication.current(dsn), hold_reasons.holds(dsn)
        withheld, flagged = quarantine.review_counts(dsn)
    except (OkrError, psycopg.Error):
        return ["The warehouse does not respond, so the current publication is unknown."]
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if published is None:
        publication_line = f"Nothing is published yet ({now})."
    else:
        at, as_of = (f"{each:%Y-%m-%d %H:%M:%S} UTC" for each in (published.published_at, published.data_as_of))
        publication_line = f"Publication {published.publication_id} of {at}, data as of {as_of}."
    events_line = f"Withheld events: {withheld}; flagged: {flagged}; see `okr quarantine list`."
    return [publication_line, *map(str, held), *([events_line] if withheld or flagged else [])]


def services(stack: Stack) -> list[ServiceStatus]:
    """Return the state of every service, which is DOWN if no supervisor is running or it does not know the service.

    A supervisor that another version of the code started may have additional services, which come last.
    """
    supervisor = Supervisor(stack)
    states = supervisor.states() if supervisor.is_running() else {}
    known = [kind.name for kind in services_of(stack)]
    names = [*known, *sorted(states.keys() - set(known))]
    return [_service(stack, name, states.get(name, {})) for name in names]


def total_memory_bytes(stack: Stack) -> int:
    """Return the PSS of all processes of the stack, including the supervisor."""
    return proportional_bytes(stack_processes(stack))


def _service(stack: Stack, name: str, info: dict[str, object]) -> ServiceStatus:
    pid = int(str(info.get("pid") or 0)) or None
    memory = proportional_bytes(_process_tree(pid)) if pid else 0
    log = stack.state / "logs" / f"{name}.log"
    return ServiceStatus(name, str(info.get("statename", "DOWN")), pid, memory, str(log))


def _process_tree(pid: int) -> Iterable[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []
