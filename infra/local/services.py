"""The list of all services of the stack, in the order in which `okr status` shows them."""

from infra.local.airflow import AirflowApiServer, AirflowDagProcessor, AirflowScheduler, AirflowTriggerer
from infra.local.base_service import Service
from infra.local.database_migrations import AirflowDatabase, Database, MlflowDatabase, Warehouse
from infra.local.kafka import Kafka
from infra.local.mlflow import Mlflow
from infra.local.monitoring import MONITORING, installed
from infra.local.nginx import Nginx
from infra.local.okr_services import Api, Guard, LandingWorker, Metrics, StateWorker
from infra.local.postgres import Postgres
from infra.local.redis import Redis
from infra.local.stack import Stack
from lakehouse.errors import PermanentError

SERVICES: tuple[type[Service], ...] = (
    Postgres,
    Kafka,
    Redis,
    AirflowApiServer,
    AirflowScheduler,
    AirflowDagProcessor,
    AirflowTriggerer,
    Mlflow,
    Api,
    LandingWorker,
    StateWorker,
    Metrics,
    Guard,
)
DATABASES: tuple[type[Database], ...] = (Warehouse, AirflowDatabase, MlflowDatabase)
# `--only airflow` selects Airflow's four services.
GROUPS = {"airflow": tuple(kind.name for kind in SERVICES if kind.name.startswith("airflow-"))}
NAMES = tuple(kind.name for kind in SERVICES)


def services_of(stack: Stack) -> tuple[type[Service], ...]:
    """Return the services of a stack, which include nginx after `--tls`, and what is installed after `--monitoring`."""
    return (*SERVICES, *((Nginx,) if stack.has_tls else ()), *(installed() if stack.has_monitoring else ()))


def service(name: str, stack: Stack) -> Service:
    """Return one service by name."""
    kinds: tuple[type[Service], ...] = (*SERVICES, Nginx, *MONITORING)
    return next(kind for kind in kinds if kind.name == name)(stack)


def select(only: str | None, *, tls: bool = False, monitoring: bool = False) -> tuple[str, ...]:
    """Return the names of the services in `only` (comma-separated) and of those that they need; for None, all names.

    `tls` says whether nginx is one of the services, and `monitoring` whether Prometheus and what it needs are.

    Raises:
        PermanentError: a name is unknown.
    """
    watching = tuple(kind.name for kind in installed()) if monitoring else ()
    all_names = (*NAMES, *((Nginx.name,) if tls else ()), *watching)
    if only is None:
        return all_names
    wanted: set[str] = set()
    for word in filter(None, (part.strip() for part in only.split(","))):
        if word == Nginx.name and not tls:
            raise PermanentError("This stack has no nginx. `okr up --tls` puts it in front.")
        if word not in all_names and word not in GROUPS:
            raise PermanentError(f"There is no service {word!r}. Known services: {', '.join((*all_names, *GROUPS))}.")
        # Airflow's API server reports the health of all Airflow services, so these are selected together.
        group = word.partition("-")[0]
        for name in GROUPS.get(group, (word,)):
            wanted |= _with_dependencies(name)
    return tuple(name for name in all_names if name in wanted)


def _with_dependencies(name: str) -> set[str]:
    kinds: list[type[Service] | type[Database]] = [*SERVICES, Nginx, *MONITORING, *DATABASES]
    needs = next(kind.needs for kind in kinds if kind.name == name)
    services = {*NAMES, Nginx.name, *(kind.name for kind in MONITORING)}
    return {name}.union(*map(_with_dependencies, needs)) & services
