"""Airflow on the stack's PostgreSQL: a scheduler with LocalExecutor, a DAG processor, an API server and a triggerer."""

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from infra.local.base_service import Service, platform_environment
from infra.local.executables import ROOT, program
from infra.local.http_check import get_json
from infra.local.ports import LOOPBACK
from infra.local.stack import Stack
from lakehouse.errors import RetryableError
from lakehouse.warehouse import sqlalchemy_url

# Airflow imports airflow_local_settings.py from this folder before the scheduler forks its tasks.
CONFIG_FOLDER = Path(__file__).with_name("airflow_config")
PARALLEL_TASKS = 8
# For each login, the variable of its user name, its role, and the variable of its password. `user` is the lowest role
# that may start runs. `viewer` only reads; okr_auth_manager lets the landing worker also announce what has landed.
LOGINS = (
    ("OKR_AIRFLOW_USER", "admin", "OKR_AIRFLOW_PASSWORD"),
    ("OKR_AIRFLOW_SERVING_USER", "user", "OKR_AIRFLOW_SERVING_PASSWORD"),
    ("OKR_AIRFLOW_LANDING_USER", "viewer", "OKR_AIRFLOW_LANDING_PASSWORD"),
)


def airflow_environment(stack: Stack, secrets: Collection[str] = ()) -> dict[str, str]:
    """Return the environment of all Airflow processes; tasks inherit it from the scheduler."""
    home = stack.state / "airflow"
    url = stack.env["OKR_AIRFLOW_URL"]
    # Behind nginx, it has the path /airflow.
    public_url = f"{stack.public_url}/airflow" if urlsplit(url).path == "/airflow" else url
    sections = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(PARALLEL_TASKS),
        "CORE__MAX_ACTIVE_TASKS_PER_DAG": str(PARALLEL_TASKS),
        "CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__FERNET_KEY": f"{stack.env['OKR_AIRFLOW_FERNET_SECRET']}=",  # 32 bytes in base64, with its padding
        "CORE__AUTH_MANAGER": "okr_auth_manager.OkrAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{stack.env[user]}:{role}" for user, role, _ in LOGINS),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": sqlalchemy_url(
            stack.env["OKR_AIRFLOW_DSN"], "airflow", driver="psycopg2", limits=None
        ),
        # Not asyncpg, which does not know libpq's parameters, such as sslrootcert.
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": sqlalchemy_url(stack.env["OKR_AIRFLOW_DSN"], "airflow", limits=None),
        "DATABASE__SQL_ALCHEMY_POOL_SIZE": "5",
        "API__HOST": LOOPBACK,
        "API__PORT": str(stack.port("airflow")),
        "API__BASE_URL": public_url,
        "API__WORKERS": "1",
        "API__SECRET_KEY": stack.env["OKR_AIRFLOW_API_SECRET"],
        "API_AUTH__JWT_SECRET": stack.env["OKR_AIRFLOW_JWT_SECRET"],
        # By default the scheduler sleeps for one second between loops, which is most of the delay between two tasks.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        # The tasks of a killed scheduler can be adopted once its last heartbeat is 30 s old. Its replacement checks for
        # such tasks when it starts, which is too early, and after that by default only every five minutes.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",  # for tasks whose process was killed; the default is 300
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "LOGGING__JSON_LOGS": "True",
        # The access log of its API server has addresses, paths and queries of callers. nginx logs these requests.
        "LOGGING__NAMESPACE_LEVELS": "http.access=WARNING",
        "LOGGING__BASE_LOG_FOLDER": str(stack.state / "logs" / "airflow"),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
        "COSMOS__CACHE_DIR": str(home / "cosmos"),
    }
    environment = platform_environment(stack, secrets) | {f"AIRFLOW__{name}": value for name, value in sections.items()}
    return environment | {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": f"{CONFIG_FOLDER}{os.pathsep}{ROOT}",
        # The title that Airflow gives to its processes must not overwrite /proc/<pid>/environ, from which `okr deploy`
        # reads the release.
        "SPT_NOENV": "1",
        "PYTHONWARNINGS": "ignore",
    }


class AirflowService(Service):
    """The base class of Airflow's four services. `component` is the subcommand of the airflow program."""

    component: ClassVar[str]
    code: ClassVar[tuple[str, ...]] = (
        "infra/local/airflow.py", "infra/local/airflow_config",
        "lakehouse", "ingestion", "expectations", "ml", "dags", "dbt_project",
    )  # fmt: skip
    arguments: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ("airflow-database",)
    start_limit_seconds: ClassVar[int] = 240  # a start takes seconds on an idle machine, but minutes on a busy one

    def command(self) -> list[str]:
        """Return the component's command line."""
        return [program("airflow"), self.component, *self.arguments]

    def environment(self) -> dict[str, str]:
        """Return Airflow's environment."""
        only_on_servers = {"OKR_KAFKA_PASSWORD"} & self.stack.env.keys() if self.kafka_user else set()
        return airflow_environment(self.stack, (*self.secrets, *only_on_servers))

    def check(self) -> None:
        """Check that the API server reports the component's heartbeat as healthy."""
        status = self._health().get(self.component.replace("-", "_"), {}).get("status")
        if status != "healthy":
            raise RetryableError(f"Airflow reports its {self.component} as {status}")

    def _health(self) -> dict[str, Any]:
        return get_json(f"{self.stack.env['OKR_AIRFLOW_URL']}/api/v2/monitor/health")


class AirflowApiServer(AirflowService):
    """The REST API, the web page, and the execution API to which running tasks report."""

    name: ClassVar[str] = "airflow-api-server"
    component: ClassVar[str] = "api-server"

    def prepare(self) -> None:
        """Write the passwords of the logins to the file that SimpleAuthManager reads."""
        file = self.stack.folder("airflow") / "passwords.json"
        file.touch(mode=0o600)
        passwords = {self.stack.env[user]: self.stack.env[password] for user, _, password in LOGINS}
        file.write_text(json.dumps(passwords) + "\n", encoding="utf-8")

    def check(self) -> None:
        """Check that the server responds.

        The server builds its execution API on the first request to it. This check sends that request, so that the first
        task does not have to wait for it.
        """
        self._health()
        get_json(f"{self.stack.env['OKR_AIRFLOW_URL']}/execution/health")


class AirflowScheduler(AirflowService):
    """The scheduler, which runs tasks in forked processes, without serve-logs, which would listen on all interfaces."""

    name: ClassVar[str] = "airflow-scheduler"
    component: ClassVar[str] = "scheduler"
    kafka_user: ClassVar[str] = "okr-airflow"
    needs: ClassVar[tuple[str, ...]] = ("airflow-database", "warehouse")  # its tasks use the warehouse
    # Tasks are forked from the scheduler and inherit its secrets.
    secrets: ClassVar[tuple[str, ...]] = (
        "OKR_DSN_LOADER", "OKR_DSN_TRANSFORM", "OKR_DSN_SERVING", "OKR_MLFLOW_STORE_URI", "OKR_MLFLOW_PASSWORD",
    )  # fmt: skip
    arguments: ClassVar[tuple[str, ...]] = ("--skip-serve-logs",)
    stop_limit_seconds: ClassVar[int] = 25  # gives running tasks time to finish


class AirflowDagProcessor(AirflowService):
    """The DAG processor, which parses the DAG files."""

    name: ClassVar[str] = "airflow-dag-processor"
    component: ClassVar[str] = "dag-processor"
    kafka_user: ClassVar[str] = "okr-airflow"
    secrets: ClassVar[tuple[str, ...]] = ("OKR_DSN_TRANSFORM",)  # it records the failures of tasks that were killed


class AirflowTriggerer(AirflowService):
    """The triggerer, in which deferred tasks wait."""

    name: ClassVar[str] = "airflow-triggerer"
    component: ClassVar[str] = "triggerer"
    arguments: ClassVar[tuple[str, ...]] = ("--skip-serve-logs", "--capacity", "50")
