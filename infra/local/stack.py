"""The state folder of a stack and its stack.env, which contains ports, secrets and the addresses built from them."""

import errno
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from infra.local import ports
from infra.local.env_file import read_env_file, write_env_file
from infra.local.generated_secrets import ADDED_LATER, DATABASE_ROLES, REDIS_PASSWORDS, SECRETS, new_secret
from infra.local.ports import MONITORING_PORTS, PORTS, TLS_PORTS
from infra.local.short_paths import short_link
from infra.redis import users as redis_users
from lakehouse.errors import PermanentError
from lakehouse.settings import STACK_ENV, Settings

TLS = "OKR_TLS"  # "true" if nginx is in front of the stack
MONITORING = "OKR_MONITORING"  # "true" if Prometheus watches the stack
CREATED_BY_STACK = "OKR_STATE_CREATED"  # whether `okr clean` may remove the whole folder
# The settings that are not secret, which every service receives. Secret settings have the type SecretStr.
NOT_SECRET = frozenset(
    f"OKR_{name.upper()}" for name, field in Settings.model_fields.items() if field.annotation is not SecretStr
)
SUPERVISOR_SETTINGS = Path("run", "supervisord.conf")  # below the state folder
MAX_ARTIFACT_URI_LENGTH = 150
# Everything that the stack and the demo create in a state folder.
STATE_NAMES = (
    "airflow", "backup", "dbt", "home", "kafka", "lake", "logs", "metrics", "mlflow", "postgres", "predictions",
    "prometheus", "replaced", "restore", "run", "sites", "spool", "tls",
    "stack.env", "stack.lock", "restore.incomplete", "demo.json", "forecasts.csv", "imported.sqlite",
    "rejected_rows.csv",
)  # fmt: skip
MIN_FREE_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Stack:
    """One local stack: its absolute state folder and the values of its stack.env."""

    state: Path
    env: Mapping[str, str]

    @property
    def has_tls(self) -> bool:
        """Whether nginx is in front of the stack."""
        return self.env.get(TLS) == "true"

    @property
    def has_monitoring(self) -> bool:
        """Whether Prometheus watches the stack."""
        return self.env.get(MONITORING) == "true"

    @property
    def public_url(self) -> str:
        """The address that people use: nginx's or, without nginx, the API's."""
        return f"https://{ports.LOOPBACK}:{self.port('nginx')}" if self.has_tls else self.env["OKR_API_URL"]

    @property
    def ports(self) -> Mapping[str, str]:
        """For each service with a port, the variable that contains it."""
        return _ports(self.env)

    def port(self, service: str) -> int:
        """Return the loopback port of a service."""
        return int(self.env[self.ports[service]])

    def folder(self, *parts: str) -> Path:
        """Return a folder below the state folder. If it does not exist, create it, accessible only to its owner."""
        path = self.state.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def settings(self, secrets: Collection[str]) -> dict[str, str]:
        """Return the settings of a service, by OKR_* name: all that are not secret, and the secrets that it needs."""
        return {name: value for name, value in self.env.items() if name in NOT_SECRET} | {
            name: self.env[name] for name in secrets
        }


def open_stack(state: Path) -> Stack | None:
    """Return the stack of a state folder, or None if no stack has ever been started there.

    Raises:
        PermanentError: stack.env belongs to another user or is damaged.
    """
    state = state.absolute()
    values = read_env_file(state / STACK_ENV)
    if not values:
        return None
    if missing := missing_values(values):
        raise PermanentError(
            f"{state / STACK_ENV} is damaged: it lacks {', '.join(missing)}. Restore it, or remove the state folder "
            "with `okr clean` and start again."
        )
    return Stack(state, values)


def open_stack_to_stop(state: Path) -> Stack | None:
    """Return the stack of a state folder, even if its stack.env is incomplete or lost; None if there never was one.

    Raises:
        PermanentError: stack.env belongs to another user.
    """
    state = state.absolute()
    values = read_env_file(state / STACK_ENV)
    was_started = (state / STACK_ENV).exists() or (state / SUPERVISOR_SETTINGS).exists()
    return Stack(state, values) if was_started else None


def missing_values(values: Mapping[str, str]) -> list[str]:
    """Return the names of the ports and secrets that a stack.env lacks."""
    return [name for name in (*SECRETS, *PORTS.values()) if name not in values and name not in ADDED_LATER]


def prepare_stack(
    state: Path,
    keep_port: Callable[[int], bool] = ports.is_free,
    tls: bool | None = None,
    monitoring: bool | None = None,
) -> Stack:
    """Create or update the state folder and stack.env, and replace ports that other programs have taken.

    `keep_port` returns whether a stored port can be kept, because it is free or in use by the stack's own service.
    `tls` says whether nginx is in front of the stack, `monitoring` whether Prometheus watches it; None means as before.

    Raises:
        PermanentError: the folder is full, read-only or belongs to another user.
    """
    state = state.absolute()
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_space(state)
        values = dict(read_env_file(state / STACK_ENV))
        values.setdefault(CREATED_BY_STACK, str(not any(_foreign_files(state))).lower())
        for name, size in SECRETS.items():
            values.setdefault(name, new_secret(size))
        if tls is not None:
            values[TLS] = str(tls).lower()
        if monitoring is not None:
            values[MONITORING] = str(monitoring).lower()
        used = list(_ports(values).values())
        for name in used:
            taken = {int(values[other]) for other in used if other in values and other != name}
            if name not in values or not keep_port(int(values[name])):
                values[name] = str(ports.choose(taken))
        stack = Stack(state, values | addresses(state, values))
        write_env_file(state / STACK_ENV, stack.env)
    except OSError as error:
        raise PermanentError(explain_os_error(state, error)) from error
    return stack


def addresses(state: Path, values: Mapping[str, str]) -> dict[str, str]:
    """Return the values of stack.env that are derived from the state folder, the ports and the secrets."""

    def dsn(role: str, password: str, database: str = "okr", scheme: str = "postgresql") -> str:
        host = f"{ports.LOOPBACK}:{values['OKR_PORT_POSTGRES']}"
        return f"{scheme}://{role}:{values[f'OKR_PG_{password}_PASSWORD']}@{host}/{database}"

    def redis(user: str) -> str:
        password = values[REDIS_PASSWORDS[user]]
        return f"redis://{user}:{password}@{ports.LOOPBACK}:{values['OKR_PORT_REDIS']}/0"

    def url(port: str, path: str = "") -> str:
        return f"http://{ports.LOOPBACK}:{values[port]}{path}"

    has_tls, has_monitoring = (values.get(name) == "true" for name in (TLS, MONITORING))

    return {
        "OKR_STATE": str(state),
        "OKR_KAFKA_BOOTSTRAP": f"{ports.LOOPBACK}:{values['OKR_PORT_KAFKA']}",
        "OKR_LAKE_URI": str(state / "lake"),
        **{f"OKR_{setting.upper()}": redis(user) for user, setting in redis_users.URLS.items()},
        "OKR_REDIS_ADMIN_URL": redis(redis_users.ADMIN),
        **{f"OKR_DSN_{role.upper()}": dsn(f"okr_{role}", role.upper()) for role in DATABASE_ROLES},
        "OKR_DSN_ANALYST": dsn("analyst", "ANALYST"),
        "OKR_PG_SUPERUSER_DSN": dsn("postgres", "SUPERUSER", "postgres"),
        "OKR_AIRFLOW_URL": url("OKR_PORT_AIRFLOW", "/airflow" if has_tls else ""),
        "OKR_AIRFLOW_USER": "admin",
        "OKR_AIRFLOW_SERVING_USER": "okr-serving",
        "OKR_AIRFLOW_LANDING_USER": "okr-landing",
        "OKR_AIRFLOW_DSN": dsn("airflow", "AIRFLOW", "airflow", "postgresql+psycopg2"),
        "OKR_MLFLOW_URL": url("OKR_PORT_MLFLOW", "/mlflow" if has_tls else ""),
        "OKR_MLFLOW_USER": "admin",
        "OKR_MLFLOW_STORE_URI": dsn("mlflow", "MLFLOW", "mlflow", "postgresql+psycopg2"),
        "OKR_MLFLOW_ARTIFACTS": str(artifact_folder(state)),
        "OKR_API_URL": url("OKR_API_PORT"),
        "OKR_TRUSTED_PROXIES": ports.LOOPBACK if has_tls else "",
        "OKR_METRICS_ADDRESS": f"{ports.LOOPBACK}:{values['OKR_PORT_METRICS']}" if has_monitoring else "",
        "OKR_ALERTMANAGER_URL": url("OKR_PORT_ALERTMANAGER") if has_monitoring else "",
        "OKR_CERTIFICATES_DIR": str(state / "tls"),
        "OKR_SITES_DIR": str(state / "sites"),
        "OKR_DBT_TARGET_DIR": str(state / "dbt"),
    }


def _ports(values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with the ports that a stack uses, by service."""
    tls = TLS_PORTS if values.get(TLS) == "true" else {}
    return PORTS | tls | (MONITORING_PORTS if values.get(MONITORING) == "true" else {})


def artifact_folder(state: Path) -> Path:
    """Return MLflow's artifact folder. MLflow limits a run's path to 200 characters, 42 of which it adds itself."""
    folder = state / "mlflow"
    return folder if len(folder.as_uri()) <= MAX_ARTIFACT_URI_LENGTH else short_link(state, folder)


def explain_os_error(state: Path, error: OSError) -> str:
    """Explain an operating system error that concerns the state folder, and say what to do about it."""
    advice = {
        errno.EROFS: "is read-only",
        errno.EACCES: "belongs to another user or is read-only",
        errno.EPERM: "belongs to another user or is read-only",
        errno.ENOSPC: "is on a full disk",
        errno.EDQUOT: "is over its owner's quota",
        errno.ENOTDIR: "is not a folder",
        errno.EEXIST: "is not a folder",
    }.get(error.errno or 0, f"cannot be used ({error})")
    return f"The state folder {state} {advice}. Fix that, or choose another folder with OKR_STATE=<folder>."


def _foreign_files(state: Path) -> list[Path]:
    """Return the files in a state folder that the stack did not create."""
    return [path for path in state.iterdir() if path.name not in STATE_NAMES]


def _check_space(state: Path) -> None:
    free = shutil.disk_usage(state).free
    if free < MIN_FREE_BYTES:
        raise PermanentError(
            f"The state folder {state} is on a disk with {free / 1e6:,.0f} MB free; the stack needs at least "
            f"{MIN_FREE_BYTES / 1e6:,.0f} MB. Free some space, or choose another disk with OKR_STATE=<folder>."
        )
    if not os.access(state, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(state))
