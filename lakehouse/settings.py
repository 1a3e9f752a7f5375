"""The settings object, built by the entry points and passed on. Nothing is read at import time."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lakehouse.configuration.profiles import DEFAULTS, Environment
from lakehouse.configuration.secret_files import read_secret_files
from lakehouse.errors import PermanentError
from lakehouse.kafka_connection import SecurityProtocol

STACK_ENV = "stack.env"
# The stack sets this variable to "environment" for its services. The environment is then their only source of settings,
# so each service has only its own secrets, not all secrets in stack.env.
SOURCE, ENVIRONMENT = "OKR_SETTINGS", "environment"
CONSEQUENCES = frozenset({"default_factory_not_called"})  # pydantic's errors that only follow from others


class Settings(BaseSettings):
    """The addresses and credentials of all parts of the platform. Environment variables are named `OKR_<FIELD>`.

    `<state>/stack.env` (written by the local stack, readable only by its owner) takes precedence over the environment,
    so variables exported for another stack have no effect (ADR 12). Secrets can also be in files
    (`configuration/secret_files.py`). A setting that none of them contains has the default of its environment
    (development, staging or production: `configuration/profiles.py`), or is empty. `require` raises an error that names
    the missing setting and says how to set it.
    """

    model_config = SettingsConfigDict(env_prefix="OKR_", extra="ignore", hide_input_in_errors=True)

    environment: Environment = Field(
        default=Environment.DEVELOPMENT, description="development, staging or production: defaults and requirements"
    )
    state: Path = Path(".state")
    kafka_bootstrap: str = ""
    kafka_security_protocol: SecurityProtocol = Field(
        default=SecurityProtocol.PLAINTEXT, description="PLAINTEXT, or SASL_SSL with SCRAM-SHA-512"
    )
    kafka_user: str = Field(default="", description="this service's user of Kafka, for SASL_SSL")
    kafka_password: SecretStr = Field(default=SecretStr(""), description="its password")
    ca_file: str = Field(
        default="",
        description="PEM file of the CAs that signed the certificates of Kafka, Redis, Airflow and MLflow; default: "
        "the system's",
    )
    client_certificate: str = Field(
        default="", description="certificate (PEM) for Airflow and MLflow on other hosts, for the name okr-client"
    )
    client_key: SecretStr = Field(default=SecretStr(""), description="the key of this certificate (PEM)")
    lake_uri: str = ""
    lake_retention_days: int = Field(
        default=7, ge=2, description="days of time travel, and the age at which files of killed workers are deleted"
    )
    system_metrics_retention_days: int = Field(
        default=90,
        ge=35,
        description="days for which the lake and raw keep okr_system_metrics; rows may be kept up to a week longer",
    )
    spool_events: int = Field(
        default=200_000, ge=1, description="maximum number of events that a source spools while no broker responds"
    )
    spool_bytes: int = Field(default=268_435_456, ge=1, description="maximum size of these events in bytes")
    prediction_log_bytes: int = Field(
        default=268_435_456,
        ge=16_777_216,
        description="maximum size on disk of a host's predictions that the broker has not acknowledged",
    )
    redis_url: SecretStr = Field(default=SecretStr(""), description="Redis, with the user of the API")
    redis_state_url: SecretStr = Field(default=SecretStr(""), description="Redis, with the user of the state consumer")
    redis_metrics_url: SecretStr = Field(
        default=SecretStr(""), description="Redis, with the user of the metrics collector"
    )
    redis_admin_url: SecretStr = Field(
        default=SecretStr(""), description="Redis, with its administrator (`okr installation audit`, `okr redis users`)"
    )

    pg_superuser_dsn: SecretStr = SecretStr("")
    dsn_owner: SecretStr = SecretStr("")
    dsn_loader: SecretStr = SecretStr("")
    dsn_landing: SecretStr = SecretStr("")
    dsn_metrics: SecretStr = SecretStr("")
    dsn_transform: SecretStr = SecretStr("")
    dsn_serving: SecretStr = SecretStr("")
    dsn_organisation: SecretStr = SecretStr("")
    dsn_backup: SecretStr = Field(default=SecretStr(""), description="PostgreSQL, with the role of backups")
    dsn_analyst: SecretStr = SecretStr("")

    field_encryption_key: SecretStr = Field(
        default=SecretStr(""),
        description="keys that wrap the keys of persons, one per line, the current one first (okr keys)",
    )

    backup_repository: str = Field(
        default="", description="restic repository of `okr backup`: a folder on another disk, s3:https://..., sftp:..."
    )
    backup_password: SecretStr = Field(default=SecretStr(""), description="the password of this repository")
    backup_retention_days: int = Field(
        default=35, ge=1, description="days to whose every moment `okr restore --at` can go back"
    )
    backup_kafka_data: str = Field(
        default="", description="data folder (log.dirs) of the Kafka broker on this host, for `okr backup`"
    )

    airflow_dsn: SecretStr = Field(default=SecretStr(""), description="Airflow's own database")
    airflow_url: str = ""
    airflow_user: str = "admin"
    airflow_password: SecretStr = SecretStr("")
    airflow_serving_user: str = Field(
        default="okr-serving", description="the API's login to Airflow, which may start runs"
    )
    airflow_serving_password: SecretStr = SecretStr("")
    airflow_landing_user: str = Field(
        default="okr-landing", description="the landing worker's login to Airflow, which may read and announce"
    )
    airflow_landing_password: SecretStr = SecretStr("")
    mlflow_url: str = ""
    mlflow_user: str = "admin"
    mlflow_password: SecretStr = SecretStr("")
    mlflow_store_uri: SecretStr = SecretStr("")
    mlflow_artifacts: str = ""
    alertmanager_url: str = Field(default="", description="Alertmanager, for the page of alerts")
    runbooks_url: str = Field(
        default="", description="address before `docs/runbooks/...` in the links of the page of alerts"
    )

    api_url: str = ""
    api_port: int = 0
    api_workers: int = Field(default=1, ge=1, le=256, description="processes that `okr serve` starts")
    api_drain_s: int = Field(
        default=10, ge=1, le=3_600, description="how long `okr serve` completes running requests when it is stopped"
    )
    metrics_token: SecretStr = Field(
        default=SecretStr(""), description="bearer token for GET /metrics; without it, no one may read them"
    )
    metrics_address: str = Field(
        default="", description="address and port at which `okr produce metrics` serves Prometheus; empty: not at all"
    )
    metrics_certificate: str = Field(
        default="",
        description="its certificate (PEM); clients then need one that an authority in OKR_CA_FILE has signed",
    )
    metrics_key: str = Field(default="", description="path of the key of this certificate")
    certificates_dir: Path = Field(
        default=Path("/etc/okr/tls"), description="folder of the certificates whose end `okr produce metrics` reports"
    )
    metrics_dir: Path = Field(
        default_factory=lambda values: values["state"] / "metrics",
        description="folder in which commands leave metrics as files",
    )
    jwt_secret: SecretStr = SecretStr("")
    admin_password: SecretStr = SecretStr("")
    lead_password: SecretStr = SecretStr("")
    app_password: SecretStr = SecretStr("")
    trusted_proxies: str = Field(
        default="",
        description="addresses or networks, separated by commas, whose X-Forwarded-* headers are trusted; `unix` for "
        "peers on the UNIX socket of the API",
    )

    proxy_socket: Path = Field(
        default=Path("/run/okr/api/current.sock"), description="socket of the API to which nginx connects"
    )
    proxy_certificate: Path = Field(
        default=Path("/etc/okr/tls/certificate.pem"), description="nginx's certificate with its chain"
    )
    proxy_key: Path = Field(default=Path("/etc/okr/tls/key.pem"), description="the key of this certificate")
    proxy_http_port: int = Field(
        default=80, ge=0, le=65_535, description="port from which nginx redirects to HTTPS; 0 for none"
    )
    proxy_hosts: str = Field(
        default="", description="host:port of nginx's internal listener on each host with an API, separated by commas"
    )
    proxy_public: bool = Field(
        default=True, description="whether nginx serves people; false on hosts that only other hosts reach"
    )
    proxy_internal_port: int = Field(
        default=0, ge=0, le=65_535, description="port of nginx for other hosts; 0 for none"
    )
    proxy_internal_certificate: Path = Field(
        default=Path("/etc/okr/tls/internal.pem"), description="certificate between hosts, for the name okr-api"
    )
    proxy_internal_key: Path = Field(
        default=Path("/etc/okr/tls/internal-key.pem"), description="the key of this certificate"
    )
    proxy_client_key: Path = Field(
        default=Path("/etc/okr/secrets/okr_client_key"), description="nginx's file with the key OKR_CLIENT_KEY"
    )

    sites_dir: Path = Field(default_factory=lambda values: values["state"] / "sites")
    dbt_target_dir: Path = Field(default_factory=lambda values: values["state"] / "dbt")
    log_json: bool = Field(default=False, description="JSON lines instead of text, for services")
    log_level: str = Field(
        default="INFO",
        description="least level that is logged: DEBUG, INFO, WARN, ERROR or FATAL, also for modules: "
        "INFO,serving.auth=DEBUG",
    )
    log_retention_days: int = Field(
        default=30, ge=1, description="days for which rotated log files and the logs of Airflow's tasks are kept"
    )
    logs_url: str = Field(default="", description="VictoriaLogs, for `okr logs --store`, such as http://127.0.0.1:9428")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give stack.env precedence over variables, and these over the defaults of the environment."""
        return init_settings, dotenv_settings, env_settings, _ProfileDefaults(settings_cls)

    @property
    def spool_dir(self) -> Path:
        """Return the folder in which each source spools events that the broker has not confirmed yet."""
        return self.state / "spool"

    @property
    def prediction_log_dir(self) -> Path:
        """Return the folder in which the workers of this host record predictions until they are sent."""
        return self.state / "predictions"

    def require(self, field: str) -> str:
        """Return a setting as text that is not empty.

        Raises:
            PermanentError: the setting is empty.
        """
        value = getattr(self, field)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
        if not text and is_environment_only():
            raise PermanentError(
                f"The setting OKR_{field.upper()} is missing: this process reads settings from the environment only. "
                "On a server, add it to okr_settings or okr_extra_secrets of the host; in the local stack, to the "
                "`secrets` of the service in infra/local."
            )
        if not text:
            raise PermanentError(
                f"The setting OKR_{field.upper()} is empty and {self.state / STACK_ENV} does not set it. "
                "Start the local stack with `make up`, or set it in the environment."
            )
        return text

    def require_all(self, *fields: str) -> None:
        """Check that settings are not empty before work that needs them starts.

        Raises:
            PermanentError: one of them is empty.
        """
        for field in fields:
            self.require(field)


class _ProfileDefaults(PydanticBaseSettingsSource):
    """The defaults of the environment that the sources before this one name (`configuration/profiles.py`)."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: `__call__` returns all values at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the defaults, or none for an unknown environment, which the validation of its field reports."""
        try:
            return dict(DEFAULTS[Environment(self.current_state.get("environment", Environment.DEVELOPMENT))])
        except ValueError:
            return {}


def secret_fields() -> list[str]:
    """Return the names of the settings that are secret."""
    return [name for name, field in Settings.model_fields.items() if field.annotation is SecretStr]


def is_environment_only() -> bool:
    """Return whether this process is a service, which does not read stack.env."""
    return os.environ.get(SOURCE) == ENVIRONMENT


def state_folder() -> Path:
    """Return the state folder that the caller chose: OKR_STATE, or .state in the current folder.

    Raises:
        PermanentError: the current folder was removed.
    """
    try:
        return Path(os.environ.get("OKR_STATE") or ".state").absolute()
    except FileNotFoundError as error:
        raise PermanentError(
            "The current folder was removed. Change to one that exists, or set OKR_STATE to an absolute path."
        ) from error


def load_settings(state: Path | None = None) -> Settings:
    """Read settings from `<state>/stack.env`, then from the environment; a service reads only the environment.

    Raises:
        PermanentError: values are invalid, or violate what their environment requires. The message has a line for each
            and never contains a secret.
    """
    settings, errors = read_settings(state)
    if errors:
        raise PermanentError("\n  ".join(["Invalid settings (`okr config show` shows their sources):", *errors]))
    return settings


def read_settings(state: Path | None = None) -> tuple[Settings, list[str]]:
    """Return the settings, with defaults for invalid ones, and the errors, one line each.

    Raises:
        PermanentError: stack.env cannot be read.
    """
    from lakehouse.configuration.requirements import violations

    state = state.absolute() if state else state_folder()
    env_file = state / STACK_ENV
    try:
        read_from = env_file if not is_environment_only() and env_file.is_file() else None
        secrets, errors = read_secret_files(secret_fields(), set_elsewhere=_set_by_variables(read_from))
        try:
            settings = _settings(read_from, state, secrets)
        except ValidationError as error:
            invalid = {str(each["loc"][0]): each for each in error.errors() if each["type"] not in CONSEQUENCES}
            errors += [f"OKR_{name.upper()}: {each['msg']}." for name, each in invalid.items()]
            # With defaults for these, the other settings can be checked as well, so that all errors are reported.
            defaults = {name: Settings.model_fields[name].get_default() for name in invalid}
            settings = _settings(read_from, state, secrets | defaults)
    except PermissionError as error:
        raise PermanentError(
            f"{env_file} cannot be read: it belongs to the user who started the stack. Run as that user, "
            "or set OKR_STATE to a state folder of your own."
        ) from error
    return settings, errors + violations(settings)


def _settings(env_file: Path | None, state: Path, values: Mapping[str, Any]) -> Settings:
    return Settings(_env_file=env_file, state=state, **values)


def _set_by_variables(env_file: Path | None) -> set[str]:
    """Return the names of the settings that stack.env or a variable sets."""
    names = {*os.environ, *(dotenv_values(env_file) if env_file else ())}
    return {name.lower().removeprefix("okr_") for name in names if name.lower().startswith("okr_")}
