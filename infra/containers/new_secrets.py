"""Generate the secrets of an installation in containers: `python -m infra.containers.new_secrets FOLDER [OPTION ...]`.

Each secret is a file, as `docker compose` and `kubectl create secret generic okr --from-file=FOLDER` expect them. A
file that exists is kept, so the command can be repeated after an update that needs more secrets. To rotate a secret,
delete its file and the files that contain it (addresses), and run the command again. Containers read a new file only
when they are recreated: by `infra/containers/up`, or by `kubectl rollout restart`.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.generated_secrets import DATABASE_ROLES, REDIS_PASSWORDS, new_secret
from infra.redis import users as redis_users
from infra.secrets.forms import PASSWORD_BYTES, Addresses, Dsn, RedisUrl
from infra.secrets.table import SECRETS
from lakehouse.errors import OkrError, PermanentError

GROUP_ID = 10001  # the group of the containers' user
MODE = 0o440
# In the network of the compose file, the broker's administrator needs no password (kafka.properties).
ONLY_ON_SERVERS = ("redis_admin_url", "kafka_password_broker", "kafka_password_admin", "backup_password")
# The variables of the passwords of PostgreSQL's roles (infra/local/postgres_bootstrap.sql). The addresses contain them.
DATABASE_PASSWORDS = {
    "postgres": "OKR_PG_SUPERUSER_PASSWORD",
    **{f"okr_{role}": f"OKR_PG_{role.upper()}_PASSWORD" for role in DATABASE_ROLES},
    "airflow": "OKR_PG_AIRFLOW_PASSWORD",
    "mlflow": "OKR_PG_MLFLOW_PASSWORD",
}


def main(arguments: list[str]) -> None:
    """Write the missing files and print their names."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder
    if not folder.is_dir():
        raise PermanentError(f"{folder} is not a folder. Create it first: install -d -m 0750 -g {GROUP_ID} {folder}")
    passwords = _passwords(folder)
    addresses = Addresses(options.postgres, options.redis, options.ca)
    written = [*_write(folder, passwords), *_write(folder, _others(passwords, addresses))]
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


def _passwords(folder: Path) -> dict[str, str]:
    """Return the passwords that addresses contain, those of existing files if there are any."""
    names = (*DATABASE_PASSWORDS.values(), *REDIS_PASSWORDS.values())
    existing = {name: folder / name.lower() for name in names if (folder / name.lower()).is_file()}
    return {
        name: existing[name].read_text(encoding="ascii").strip() if name in existing else new_secret(PASSWORD_BYTES)
        for name in names
    }


def _others(passwords: Mapping[str, str], addresses: Addresses) -> dict[str, str]:
    """Return the secrets of the table, and what only containers need: more addresses of Airflow, and Redis's users."""
    values = {}
    for secret in SECRETS:
        form = secret.form
        if secret.is_optional or secret.name in ONLY_ON_SERVERS:
            continue
        if isinstance(form, Dsn):
            value = form.with_password(passwords[DATABASE_PASSWORDS[form.role]], addresses)
        elif isinstance(form, RedisUrl):
            value = form.with_password(passwords[REDIS_PASSWORDS[form.user]], addresses)
        else:
            value = form.new(addresses)
        values[f"OKR_{secret.name.upper()}"] = value
    airflow = f"airflow:{passwords[DATABASE_PASSWORDS['airflow']]}@{addresses.postgres}/airflow"
    users = redis_users.acl_rules({user: passwords[name] for user, name in REDIS_PASSWORDS.items()})
    return values | {
        "OKR_AIRFLOW_DSN": f"postgresql+psycopg2://{airflow}?sslmode=verify-full&sslrootcert={addresses.ca_file}",
        # asyncpg has other names for the parameters, and reads the authorities from PGSSLROOTCERT.
        "OKR_AIRFLOW_DSN_ASYNC": f"postgresql+asyncpg://{airflow}?ssl=verify-full",
        "OKR_REDIS_USERS": "\n".join(users),
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
