"""Which generated secrets each service may have in its environment."""

from infra.local.generated_secrets import SECRETS
from infra.local.stack import Stack

AIRFLOW = {"PG_AIRFLOW_PASSWORD", "AIRFLOW_JWT_SECRET", "AIRFLOW_API_SECRET", "AIRFLOW_FERNET_SECRET"}
# The generated secrets that may be in the environment of a service, also as a part of an address.
ALLOWED = {
    "postgres": set(),
    "kafka": set(),
    "redis": set(),
    "airflow-api-server": AIRFLOW,
    "airflow-scheduler": AIRFLOW
    | {"PG_LOADER_PASSWORD", "PG_TRANSFORM_PASSWORD", "PG_SERVING_PASSWORD", "PG_MLFLOW_PASSWORD", "MLFLOW_PASSWORD"},
    "airflow-dag-processor": AIRFLOW | {"PG_TRANSFORM_PASSWORD"},
    "airflow-triggerer": AIRFLOW,
    "mlflow": {"PG_MLFLOW_PASSWORD", "MLFLOW_PASSWORD", "MLFLOW_FLASK_SECRET"},
    "api": {
        "PG_SERVING_PASSWORD", "PG_ORGANISATION_PASSWORD", "PG_MLFLOW_PASSWORD", "MLFLOW_PASSWORD",
        "REDIS_SERVING_PASSWORD", "JWT_SECRET", "ADMIN_PASSWORD", "LEAD_PASSWORD", "APP_PASSWORD", "METRICS_TOKEN",
        "PG_TRANSFORM_PASSWORD", "AIRFLOW_SERVING_PASSWORD",
    },
    "land": {"AIRFLOW_LANDING_PASSWORD"},
    "state": {"PG_LOADER_PASSWORD", "REDIS_STATE_PASSWORD"},
    "metrics": {"PG_METRICS_PASSWORD", "REDIS_METRICS_PASSWORD"},
    "guard": {"PG_SUPERUSER_PASSWORD"},
}  # fmt: skip


def secrets_in(stack: Stack, environment: str) -> set[str]:
    """Return which generated secrets are in an environment; the id of the stack is in each."""
    names = {name for name in SECRETS if name != "OKR_STACK_ID" and stack.env[name] in environment}
    return {name.removeprefix("OKR_") for name in names}
