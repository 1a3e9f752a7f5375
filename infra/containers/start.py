"""Start a program that cannot read its secrets from files: `python -m infra.containers.start PROGRAM [OPTION ...]`.

`mlflow` is MLflow's server, which reads secrets from its environment. `airflow-api-server` reads a file of passwords
that it also opens for writing. `migrate` runs the migrations of the three databases and ends.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from infra.containers.secrets_folder import FOLDER, read_secret
from infra.local.executables import program
from lakehouse.errors import OkrError, PermanentError
from lakehouse.warehouse import sqlalchemy_url

PASSWORDS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
LOGINS = {
    "admin": "okr_airflow_password",
    "okr-serving": "okr_airflow_serving_password",
    "okr-landing": "okr_airflow_landing_password",
}


def mlflow_environment(folder: Path = FOLDER) -> dict[str, str]:
    """Return the variables with MLflow's secrets.

    Raises:
        PermanentError: a secret is missing.
    """
    store = read_secret("okr_mlflow_store_uri", folder)
    return {
        "MLFLOW_BACKEND_STORE_URI": sqlalchemy_url(store, "mlflow", driver="psycopg2", limits=None),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": read_secret("okr_mlflow_password", folder),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": read_secret("okr_mlflow_flask_secret", folder),
    }


def write_airflow_passwords(file: Path, folder: Path = FOLDER) -> None:
    """Write the passwords of Airflow's logins, readable only by this user.

    Raises:
        PermanentError: a secret is missing.
    """
    passwords = {user: read_secret(secret, folder) for user, secret in LOGINS.items()}
    file.touch(mode=0o600)
    file.write_text(f"{json.dumps(passwords)}\n", encoding="utf-8")


def start_mlflow(options: Sequence[str]) -> None:
    """Replace this process with MLflow's server."""
    artifacts = ["--serve-artifacts", "--artifacts-destination", os.environ["OKR_MLFLOW_ARTIFACTS"]]
    host = "0.0.0.0"  # noqa: S104  # nosec B104 -- the container's own network
    listen = ["--app-name", "basic-auth", "--host", host, "--port", "5000", "--workers", "1"]
    _replace([program("mlflow"), "server", *listen, *artifacts, *options], mlflow_environment())


def start_airflow_api_server(options: Sequence[str]) -> None:
    """Replace this process with Airflow's API server."""
    write_airflow_passwords(Path(os.environ[PASSWORDS]))
    _replace([program("airflow"), "api-server", *options], {})


def migrate(_options: Sequence[str]) -> None:
    """Run the migrations of the three databases (infra/containers/migrations.py)."""
    from infra.containers.migrations import migrate_everything

    migrate_everything()


PROGRAMS: Mapping[str, Callable[[Sequence[str]], None]] = {
    "mlflow": start_mlflow,
    "airflow-api-server": start_airflow_api_server,
    "migrate": migrate,
}


def main(arguments: Sequence[str]) -> None:
    """Start the program that the first argument names.

    Raises:
        PermanentError: the name is unknown or a secret is missing.
    """
    name = arguments[0] if arguments else ""
    if name not in PROGRAMS:
        raise PermanentError(f"Expected one of {', '.join(PROGRAMS)}, got {name!r}.")
    PROGRAMS[name](arguments[1:])


def _replace(command: list[str], variables: Mapping[str, str]) -> None:
    os.execve(command[0], command, os.environ | variables)  # noqa: S606 -- a program of this image, without a shell


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OkrError as error:
        sys.exit(f"start: {error}")
