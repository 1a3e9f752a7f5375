"""`okr status`: services, addresses and logins, memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import psycopg

from infra.local.processes import proportional_bytes, stack_processes
from infra.local.services import NAMES
from infra.local.stack import Stack
from infra.local.supervisor import Supervisor
from lakehouse import publication, publication_hold, quarantine
from lakehouse.errors import OkrError
from lakehouse.settings import Settings

# Names that `okr env` prints, and where their values come from.
FOR_USERS = {
    "OKR_API_URL": "OKR_API_URL",
    "OKR_AIRFLOW_URL": "OKR_AIRFLOW_URL",
    "OKR_MLFLOW_URL": "OKR_MLFLOW_URL",
    "OKR_WAREHOUSE_DSN": "OKR_DSN_ANALYST",
    "OKR_LAKE_URI": "OKR_LAKE_URI",
    "OKR_KAFKA_BOOTSTRAP": "OKR_KAFKA_BOOTSTRAP",
    "OKR_REDIS_URL": "OKR_REDIS_URL",
}


@dataclass(frozen=True)
class ServiceStatus:
    """One line: `state` is the supervisor's word, `memory_bytes` the PSS of the service's processes."""

    name: str
    state: str
    pid: int | None
    memory_bytes: int
    log: str


@dataclass(frozen=True)
class Endpoint:
    """Something that people open: its address and who may log in."""

    what: str
    address: str
    login: str


def user_environment(stack: Stack) -> dict[str, str]:
    """Return the variables for users: the analyst's login, no other secret but Redis's."""
    found = {name: stack.env[source] for name, source in FOR_USERS.items()}
    return found | {"OKR_DOCS_URL": f"{stack.env['OKR_API_URL']}/catalog/"}


def endpoints(stack: Stack) -> list[Endpoint]:
    """Return the addresses and logins of everything with a page."""
    env = stack.env
    lead, admin = f"lead / {env['OKR_LEAD_PASSWORD']}", f"admin / {env['OKR_ADMIN_PASSWORD']}"
    return [
        Endpoint("Scorecard page", f"{env['OKR_API_URL']}/", lead),
        Endpoint("API documentation", f"{env['OKR_API_URL']}/docs", f"app / {env['OKR_APP_PASSWORD']}, {admin}"),
        Endpoint("dbt docs", f"{env['OKR_API_URL']}/catalog/", lead),
        Endpoint("Data Docs", f"{env['OKR_API_URL']}/quality/", lead),
        Endpoint("Airflow", env["OKR_AIRFLOW_URL"], f"{env['OKR_AIRFLOW_USER']} / {env['OKR_AIRFLOW_PASSWORD']}"),
        Endpoint("MLflow", env["OKR_MLFLOW_URL"], f"{env['OKR_MLFLOW_USER']} / {env['OKR_MLFLOW_PASSWORD']}"),
        Endpoint("Warehouse (SQL, marts)", env["OKR_DSN_ANALYST"], "analyst, in the address"),
        Endpoint("Kafka", env["OKR_KAFKA_BOOTSTRAP"], "none: loopback only"),
    ]


def publication_lines(settings: Settings) -> list[str]:
    """Return what readers see and since when, and each reason why they see nothing newer: gate, step or rollback."""
    dsn = settings.require("dsn_serving")
    try:
        published, held = publication.current(dsn), publication_hold.holds(dsn)
        withheld, flagged = quarantine.withheld_count(dsn)
    except (OkrError, psycopg.Error):
        return ["The warehouse does not answer: what is published is not known."]
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if published is None:
        first = f"Nothing is published yet ({now})."
    else:
        at, as_of = (f"{each:%Y-%m-%d %H:%M:%S} UTC" for each in (published.published_at, published.data_as_of))
        first = f"Publication {published.publication_id} of {at}, data as of {as_of}."
    reviewed = f"{withheld} events are withheld, {flagged} flagged: see `okr quarantine list`."
    return [first, *map(str, held), *([reviewed] if withheld or flagged else [])]


def services(stack: Stack) -> list[ServiceStatus]:
    """Return the state of every service, DOWN where no supervisor runs, or one that does not know the service.

    A supervisor that another version started may have services that are not ours any more: they come last.
    """
    supervisor = Supervisor(stack)
    states = supervisor.states() if supervisor.is_running() else {}
    names = [*NAMES, *sorted(states.keys() - set(NAMES))]
    return [_service(stack, name, states.get(name, {})) for name in names]


def total_memory_bytes(stack: Stack) -> int:
    """Return the PSS of every process of the stack, the supervisor's included."""
    return proportional_bytes(stack_processes(stack))


def _service(stack: Stack, name: str, info: dict[str, object]) -> ServiceStatus:
    pid = int(str(info.get("pid") or 0)) or None
    memory = proportional_bytes(_tree(pid)) if pid else 0
    log = stack.state / "logs" / f"{name}.log"
    return ServiceStatus(name, str(info.get("statename", "DOWN")), pid, memory, str(log))


def _tree(pid: int) -> Iterable[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []
