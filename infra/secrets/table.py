"""The secrets of an installation on servers: the one table for the generator, the check, the docs and the tests.

On a host, the file of a secret is /etc/okr/secrets/okr_<name>. Containers have the same names (infra/containers).
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import infra.server
from infra.local.generated_secrets import DATABASE_ROLES
from infra.redis import users as redis_users
from infra.secrets.forms import Dsn, FernetKey, Form, KeyEncryptionKeys, Password, PrivateKey, RedisUrl

UNITS = Path(infra.server.__file__).with_name("systemd")
KAFKA, ROLES, REDIS = "`okr kafka`", "`okr postgres roles`", "`okr redis users`"
AUDIT = "`okr installation audit`"
BROKERS = "Kafka's brokers"
OTHERS = {
    "owner": ("`okr migrate`", "`okr deploy`", "`okr keys`"),
    "loader": ("`okr keys`",),
    "backup": ("`okr backup`",),
}
LOGIN = Password(size=15)
_LOADED = re.compile(r"^LoadCredential=\w+:/etc/okr/secrets/okr_(\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Secret:
    """One secret, with the `commands` of operators and the servers that need it. The units say what they load."""

    name: str
    form: Form
    commands: tuple[str, ...] = ()
    is_optional: bool = False


SECRETS = (
    Secret("pg_superuser_dsn", Dsn("postgres", "postgres"), (ROLES, "`okr analyst`", AUDIT)),
    *(Secret(f"dsn_{role}", Dsn(f"okr_{role}"), (ROLES, *OTHERS.get(role, ()))) for role in DATABASE_ROLES),
    Secret("airflow_dsn", Dsn("airflow", "airflow"), (ROLES,)),
    Secret("mlflow_store_uri", Dsn("mlflow", "mlflow"), (ROLES,)),
    Secret("redis_url", RedisUrl(redis_users.SERVING), (REDIS,)),
    Secret("redis_state_url", RedisUrl(redis_users.STATE), (REDIS,)),
    Secret("redis_metrics_url", RedisUrl(redis_users.METRICS), (REDIS,)),
    Secret("redis_admin_url", RedisUrl(redis_users.ADMIN), (REDIS, AUDIT)),
    Secret("kafka_password_broker", Password(), (BROKERS,)),
    Secret("kafka_password_admin", Password(), (KAFKA, AUDIT)),
    Secret("kafka_password_api", Password(), (KAFKA,)),
    Secret("kafka_password_land", Password(), (KAFKA,)),
    Secret("kafka_password_state", Password(), (KAFKA,)),
    Secret("kafka_password_metrics", Password(), (KAFKA,)),
    Secret("kafka_password_airflow", Password(), (KAFKA,)),
    Secret("kafka_password_operator", Password(), (KAFKA, "`okr produce`", "`okr lake`")),
    Secret("backup_password", Password(), ("`okr backup`", "`okr restore`")),
    Secret("field_encryption_key", KeyEncryptionKeys(), ("`okr keys`",)),
    Secret("jwt_secret", Password(size=64, least=32)),
    Secret("admin_password", LOGIN),
    Secret("lead_password", LOGIN),
    Secret("app_password", LOGIN, ("`okr deploy`",)),
    Secret("metrics_token", Password(), ("`okr deploy`", "the monitoring system")),
    Secret("airflow_password", LOGIN),
    Secret("airflow_serving_password", LOGIN),
    Secret("airflow_landing_password", LOGIN),
    Secret("airflow_api_secret", Password(size=48)),
    Secret("airflow_jwt_secret", Password(size=64, least=64)),
    Secret("airflow_fernet_secret", FernetKey()),
    Secret("mlflow_password", LOGIN),
    Secret("mlflow_flask_secret", Password(size=48)),
    Secret("client_key", PrivateKey(), ("nginx of edge hosts",), is_optional=True),
)
BY_NAME = {secret.name: secret for secret in SECRETS}


def units_by_secret() -> Mapping[str, set[str]]:
    """Return the units that load each secret. A name that ends with `@` has instances, with `-` several units."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in (*UNITS.glob("*.service"), *UNITS.glob("*.service.d/*.conf")):
        unit = file.stem if file.suffix == ".service" else file.parent.name.removesuffix(".service.d")
        for name in _LOADED.findall(file.read_text(encoding="utf-8")):
            found[name].add(unit)
    return found


def markdown() -> list[str]:
    """Return the table for the docs, without its header."""
    units = units_by_secret()
    return [
        f"| `{secret.name}` | {secret.form.text} | "
        f"{', '.join((*(f'`{unit}`' for unit in sorted(units[secret.name])), *secret.commands))} |"
        for secret in SECRETS
    ]
