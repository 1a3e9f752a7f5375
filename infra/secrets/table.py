"""The secrets of an installation on servers: the one table for the generator, the check, the docs and the tests.

On a host, the file of a secret is /etc/okr/secrets/okr_<name>. Containers have the same names (infra/containers).
"""

from dataclasses import dataclass

from infra.redis import users as redis_users
from infra.secrets.forms import Dsn, FernetKey, Form, KeyEncryptionKeys, Password, RedisUrl

AIRFLOW = ("okr-airflow-api-server", "okr-airflow-dag-processor", "okr-airflow-scheduler", "okr-airflow-triggerer")
KAFKA, ROLES, REDIS = "`okr kafka`", "`okr postgres roles`", "`okr redis users`"
BROKERS = "Kafka's brokers"
LOGIN = Password(size=15)


@dataclass(frozen=True)
class Secret:
    """One secret. `units` load it as a credential; `commands` of operators and servers outside systemd read it."""

    name: str
    form: Form
    units: tuple[str, ...]
    commands: tuple[str, ...] = ()


SECRETS = (
    Secret("pg_superuser_dsn", Dsn("postgres", "postgres"), ("okr-guard",), (ROLES,)),
    Secret("dsn_owner", Dsn("okr_owner"), ("okr-migrate@",), (ROLES, "`okr migrate`", "`okr deploy`", "`okr keys`")),
    Secret(
        "dsn_loader",
        Dsn("okr_loader"),
        ("okr-airflow-scheduler", "okr-land@", "okr-metrics", "okr-state"),
        (ROLES, "`okr keys`"),
    ),
    Secret(
        "dsn_transform",
        Dsn("okr_transform"),
        ("okr-airflow-dag-processor", "okr-airflow-scheduler", "okr-api@"),
        (ROLES,),
    ),
    Secret("dsn_serving", Dsn("okr_serving"), ("okr-airflow-scheduler", "okr-api@"), (ROLES,)),
    Secret("dsn_organisation", Dsn("okr_organisation"), ("okr-api@",), (ROLES,)),
    Secret("airflow_dsn", Dsn("airflow", "airflow"), AIRFLOW, (ROLES,)),
    Secret("mlflow_store_uri", Dsn("mlflow", "mlflow"), ("okr-airflow-scheduler", "okr-api@", "okr-mlflow"), (ROLES,)),
    Secret("redis_url", RedisUrl(redis_users.SERVING), ("okr-api@",), (REDIS,)),
    Secret("redis_state_url", RedisUrl(redis_users.STATE), ("okr-state",), (REDIS,)),
    Secret("redis_metrics_url", RedisUrl(redis_users.METRICS), ("okr-metrics",), (REDIS,)),
    Secret("redis_admin_url", RedisUrl(redis_users.ADMIN), (), (REDIS, "`okr installation audit`")),
    Secret("kafka_password_broker", Password(), (), (BROKERS,)),
    Secret("kafka_password_admin", Password(), (), (KAFKA,)),
    Secret("kafka_password_api", Password(), ("okr-api@",), (KAFKA,)),
    Secret("kafka_password_land", Password(), ("okr-land@",), (KAFKA,)),
    Secret("kafka_password_state", Password(), ("okr-state",), (KAFKA,)),
    Secret("kafka_password_metrics", Password(), ("okr-metrics",), (KAFKA,)),
    Secret("kafka_password_airflow", Password(), ("okr-airflow-dag-processor", "okr-airflow-scheduler"), (KAFKA,)),
    Secret("kafka_password_operator", Password(), (), (KAFKA, "`okr produce`", "`okr lake verify`")),
    Secret("field_encryption_key", KeyEncryptionKeys(), ("okr-api@", "okr-land@", "okr-state"), ("`okr keys`",)),
    Secret("jwt_secret", Password(size=64, least=32), ("okr-api@",)),
    Secret("admin_password", LOGIN, ("okr-api@",)),
    Secret("lead_password", LOGIN, ("okr-api@",)),
    Secret("app_password", LOGIN, ("okr-api@",), ("`okr deploy`",)),
    Secret("metrics_token", Password(), ("okr-api@",), ("`okr deploy`", "the monitoring")),
    Secret("airflow_password", LOGIN, ("okr-airflow-api-server", "okr-land@")),
    Secret("airflow_serving_password", LOGIN, ("okr-airflow-api-server", "okr-api@")),
    Secret("airflow_api_secret", Password(size=48), AIRFLOW),
    Secret("airflow_jwt_secret", Password(size=64, least=64), AIRFLOW),
    Secret("airflow_fernet_secret", FernetKey(), AIRFLOW),
    Secret("mlflow_password", LOGIN, ("okr-airflow-scheduler", "okr-api@", "okr-mlflow")),
    Secret("mlflow_flask_secret", Password(size=48), ("okr-mlflow",)),
)
BY_NAME = {secret.name: secret for secret in SECRETS}


def markdown() -> list[str]:
    """Return the table for the docs, without its header."""
    return [
        f"| `{secret.name}` | {secret.form.text} | {', '.join((*_code(secret.units), *secret.commands))} |"
        for secret in SECRETS
    ]


def _code(names: tuple[str, ...]) -> tuple[str, ...]:
    if names == AIRFLOW:
        return ("`okr-airflow-*`",)
    return tuple(f"`{name}`" for name in names)
