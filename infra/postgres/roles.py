"""Create the platform's roles and databases, or set their passwords again, on the host of PostgreSQL."""

import os
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path

from infra.local.generated_secrets import DATABASE_ROLES
from infra.local.postgres import BOOTSTRAP
from infra.postgres.version import require_version
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from lakehouse.warehouse import parts_of

SUPERUSER = "postgres"
# The setting with the address of each role, and the variable from which the bootstrap reads its password.
ADDRESSES = {
    "OKR_PG_SUPERUSER_PASSWORD": ("pg_superuser_dsn", SUPERUSER),
    **{f"OKR_PG_{role.upper()}_PASSWORD": (f"dsn_{role}", f"okr_{role}") for role in DATABASE_ROLES},
    "OKR_PG_AIRFLOW_PASSWORD": ("airflow_dsn", "airflow"),
    "OKR_PG_MLFLOW_PASSWORD": ("mlflow_store_uri", "mlflow"),
}
SCRIPT = f"""
\\getenv superuser_password OKR_PG_SUPERUSER_PASSWORD
ALTER ROLE {SUPERUSER} PASSWORD :'superuser_password';
\\i '{BOOTSTRAP}'
"""
# Statements contain passwords, so none is logged.
SESSION = (
    "-c client_min_messages=warning -c log_min_error_statement=panic -c log_min_duration_statement=-1 "
    "-c log_statement=none"
)


def create_roles(settings: Settings, psql: str, socket_folder: Path) -> None:
    """Run the bootstrap as the superuser through the server's socket. It can be repeated; it changes passwords only.

    Raises:
        PermanentError: a setting is missing or names another role, this process is not root, the server is too old, or
            a statement failed.
    """
    environment = _passwords(settings) | {
        "PATH": os.defpath,
        "PGHOST": str(socket_folder),
        "PGPORT": parts_of(settings.require("pg_superuser_dsn"))["port"],
        "PGUSER": SUPERUSER,
        "PGDATABASE": "postgres",
        "PGCONNECT_TIMEOUT": "10",
        "PGOPTIONS": SESSION,
    }
    require_version(int(_psql(psql, environment, "SHOW server_version_num")))
    _psql(psql, environment, SCRIPT)


def _passwords(settings: Settings) -> dict[str, str]:
    found = {}
    for variable, (field, role) in ADDRESSES.items():
        parts = parts_of(settings.require(field))
        if parts["user"] != role or not parts["password"]:
            raise PermanentError(f"OKR_{field.upper()}: expected an address with the role {role} and its password.")
        found[variable] = parts["password"]
    return found


def _psql(program: str, environment: Mapping[str, str], script: str) -> str:
    """Return psql's output. It runs as PostgreSQL's own user, whom the server knows by the socket (`peer`)."""
    try:
        user = pwd.getpwnam(SUPERUSER)
        result = subprocess.run(
            [program, "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"],
            input=script, env=environment, user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/",
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    except (KeyError, PermissionError):
        raise PermanentError(
            f"Expected to run as root on the host of PostgreSQL, which has a user {SUPERUSER!r} and the program psql."
        ) from None
    except FileNotFoundError:
        raise PermanentError(f"{program} is not installed. Run this command on the host of PostgreSQL.") from None
    if result.returncode != 0:
        raise PermanentError(f"PostgreSQL's roles and databases could not be created: {result.stderr.strip()}")
    return result.stdout
