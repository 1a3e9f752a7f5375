"""The secrets that are generated and stored in stack.env when a stack starts for the first time."""

import secrets

from infra.redis import users as redis_users

# The roles of the warehouse, without their prefix: okr_owner, okr_loader, ...
DATABASE_ROLES = ("owner", "loader", "landing", "metrics", "transform", "serving", "organisation", "backup")
# The variables of the passwords of Redis's users.
REDIS_PASSWORDS = {
    redis_users.ADMIN: "OKR_REDIS_PASSWORD",
    redis_users.SERVING: "OKR_REDIS_SERVING_PASSWORD",
    redis_users.STATE: "OKR_REDIS_STATE_PASSWORD",
    redis_users.METRICS: "OKR_REDIS_METRICS_PASSWORD",
}
# Random bytes per secret; Airflow requires JWT secrets of at least 64 bytes.
SECRETS = {
    "OKR_STACK_ID": 9,
    "OKR_PG_SUPERUSER_PASSWORD": 24,
    **{f"OKR_PG_{role.upper()}_PASSWORD": 24 for role in (*DATABASE_ROLES, "analyst", "airflow", "mlflow")},
    **dict.fromkeys(REDIS_PASSWORDS.values(), 24),
    "OKR_AIRFLOW_PASSWORD": 15,
    "OKR_AIRFLOW_SERVING_PASSWORD": 15,
    "OKR_AIRFLOW_LANDING_PASSWORD": 15,
    "OKR_AIRFLOW_JWT_SECRET": 64,
    "OKR_AIRFLOW_API_SECRET": 48,
    "OKR_AIRFLOW_FERNET_SECRET": 32,
    "OKR_MLFLOW_PASSWORD": 15,
    "OKR_MLFLOW_FLASK_SECRET": 48,
    "OKR_JWT_SECRET": 64,
    "OKR_ADMIN_PASSWORD": 15,
    "OKR_LEAD_PASSWORD": 15,
    "OKR_APP_PASSWORD": 15,
    "OKR_METRICS_TOKEN": 24,
}
# The stack.env of an earlier version lacks these. `okr up` adds them, because PostgreSQL gets them at each start.
ADDED_LATER = frozenset({"OKR_PG_LANDING_PASSWORD", "OKR_PG_METRICS_PASSWORD", "OKR_PG_BACKUP_PASSWORD"})


def new_secret(size: int) -> str:
    """Return `size` random bytes as URL-safe text."""
    return secrets.token_urlsafe(size)
