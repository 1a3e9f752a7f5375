"""Generate the secrets of an installation in containers: `python -m infra.containers.new_secrets FOLDER [OPTION ...]`.

Each secret is a file, as `docker compose` and `kubectl create secret generic okr --from-file=FOLDER` expect them. A
file that exists is kept, so the command can be repeated after an update that needs more secrets. To rotate a secret,
delete its file and the files that contain it (addresses), and run the command again. Containers read a new file only
when they are recreated: by `infra/containers/up`, or by `kubectl rollout restart`.
"""

import argparse
import base64
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.kafka.rights import USERS as KAFKA_USERS
from infra.local.generated_secrets import DATABASE_ROLES, REDIS_PASSWORDS, SECRETS, new_secret
from infra.redis import users as redis_users
from lakehouse.errors import OkrError, PermanentError

GROUP_ID = 10001  # the group of the containers' user
MODE = 0o440
# All secrets of the local stack but its id, and the login `analyst`, for which servers have one login per analyst.
GENERATED = {name: size for name, size in SECRETS.items() if name not in ("OKR_STACK_ID", "OKR_PG_ANALYST_PASSWORD")}


def main(arguments: list[str]) -> None:
    """Write the missing files and print their names."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder
    if not folder.is_dir():
        raise PermanentError(f"{folder} is not a folder. Create it first: install -d -m 0750 -g {GROUP_ID} {folder}")
    values = _generated(folder)
    written = [*_write(folder, values), *_write(folder, _derived(values, options))]
    for name in written:
        sys.stdout.write(f"{folder / name}\n")
    sys.stdout.write(f"{len(written)} secrets written; existing files were kept.\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="new_secrets", description="Generate the missing secrets of an installation.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--postgres", default="postgres:5432", metavar="HOST:PORT")
    parser.add_argument("--redis", default="redis:6379", metavar="HOST:PORT")
    parser.add_argument(
        "--ca", default="/etc/okr/tls/ca.crt", metavar="PATH", help="path of the CA file inside the containers"
    )
    return parser


def _generated(folder: Path) -> dict[str, str]:
    """Return the passwords and keys, those of existing files if there are any."""
    new = {name: new_secret(size) for name, size in GENERATED.items()}
    new |= {f"OKR_KAFKA_PASSWORD_{user.removeprefix('okr-').upper()}": new_secret(24) for user in KAFKA_USERS}
    # Whoever has it and a backup can read the names of persons, so keep a copy, but not beside the backups.
    new["OKR_FIELD_ENCRYPTION_KEY"] = base64.b64encode(secrets.token_bytes(32)).decode()
    existing = {name: folder / name.lower() for name in new if (folder / name.lower()).is_file()}
    return new | {name: file.read_text(encoding="ascii").strip() for name, file in existing.items()}


def _derived(values: Mapping[str, str], options: argparse.Namespace) -> dict[str, str]:
    """Return the addresses, which contain passwords, and Redis' file of users."""
    verified = f"sslmode=verify-full&sslrootcert={options.ca}"

    def dsn(role: str, password: str, database: str = "okr", query: str = verified, scheme: str = "postgresql") -> str:
        return f"{scheme}://{role}:{values[f'OKR_PG_{password}_PASSWORD']}@{options.postgres}/{database}?{query}"

    def redis(user: str) -> str:
        return f"rediss://{user}:{values[REDIS_PASSWORDS[user]]}@{options.redis}/0"

    return {
        **{f"OKR_DSN_{role.upper()}": dsn(f"okr_{role}", role.upper()) for role in DATABASE_ROLES},
        "OKR_PG_SUPERUSER_DSN": dsn("postgres", "SUPERUSER", "postgres"),
        "OKR_MLFLOW_STORE_URI": dsn("mlflow", "MLFLOW", "mlflow"),
        "OKR_AIRFLOW_DSN": dsn("airflow", "AIRFLOW", "airflow", scheme="postgresql+psycopg2"),
        # asyncpg has other names for the parameters, and reads the authorities from PGSSLROOTCERT.
        "OKR_AIRFLOW_DSN_ASYNC": dsn("airflow", "AIRFLOW", "airflow", "ssl=verify-full", "postgresql+asyncpg"),
        **{f"OKR_{setting.upper()}": redis(user) for user, setting in redis_users.URLS.items()},
        "OKR_REDIS_USERS": "\n".join(
            redis_users.acl_rules({user: values[name] for user, name in REDIS_PASSWORDS.items()})
        ),
    }


def _write(folder: Path, values: Mapping[str, str]) -> list[str]:
    """Write the files that do not exist; return their names."""
    written = []
    for variable, value in sorted(values.items()):
        file = folder / variable.lower()
        if file.exists():
            continue
        part = file.with_name(f".{file.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="ascii") as opened:
            opened.write(f"{value}\n")
        if os.geteuid() == 0:
            os.chown(part, 0, GROUP_ID)  # PostgreSQL accepts a key file of root that its group can read
        part.rename(file)
        written.append(file.name)
    return written


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OkrError, OSError) as error:
        sys.exit(f"new_secrets: {error}")
