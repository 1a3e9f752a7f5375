"""Prometheus, Alertmanager and exporters of the local stack (`okr up --monitoring`), as far as they are installed.

All of them listen on loopback only. The exporters of PostgreSQL and Redis have the logins of the metrics collector.
"""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from infra.alertmanager.api_key import ensure_key
from infra.alertmanager.configuration import configuration as alert_routes
from infra.alertmanager.receivers import Receivers
from infra.local import kafka_jars
from infra.local.base_service import Service, base_environment
from infra.local.http_check import get_text
from infra.local.ports import LOOPBACK
from infra.local.stack import Stack
from infra.prometheus.configuration import (
    POSTGRES_QUERIES,
    Job,
    Monitoring,
    Target,
    configuration,
    probe_modules,
)
from infra.prometheus.programs import find, require
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from lakehouse.warehouse import parts_of

RETENTION, RETENTION_SIZE = "15d", "2GB"
POSTGRES_OPTIONS = ("--disable-default-metrics", "--no-collector.bgwriter", "--no-collector.database")


class MonitoringService(Service):
    """A program of Debian that listens on one loopback port."""

    program: ClassVar[str]  # and the name of its Debian package
    code: ClassVar[tuple[str, ...]] = ("infra/local/monitoring.py", "infra/prometheus")
    ready_path: ClassVar[str] = "/metrics"

    @property
    def address(self) -> str:
        """The address at which it listens."""
        return address(self.stack, self.name)

    def command(self) -> list[str]:
        """Return the command line."""
        return [require(self.program), f"--web.listen-address={self.address}", *self.options()]

    def options(self) -> list[str]:
        """Return the options of its own."""
        return []

    def environment(self) -> dict[str, str]:
        """Return an environment without settings of the platform."""
        return base_environment(self.stack)

    def check(self) -> None:
        """Check that it responds."""
        get_text(f"http://{self.address}{self.ready_path}")


class Prometheus(MonitoringService):
    """The server, which scrapes all others and evaluates the rules."""

    name: ClassVar[str] = "prometheus"
    program: ClassVar[str] = "prometheus"
    ready_path: ClassVar[str] = "/-/ready"

    def prepare(self) -> None:
        """Write the configuration and the API's token, which is in a file of its own."""
        token = _token_file(self.stack)
        token.touch(mode=0o600)
        token.write_text(self.stack.env["OKR_METRICS_TOKEN"], encoding="utf-8")
        self._configuration.write_text(configuration(local_monitoring(self.stack)), encoding="utf-8")

    def options(self) -> list[str]:
        """Return the options."""
        return [
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={self.stack.folder('prometheus')}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--storage.tsdb.retention.size={RETENTION_SIZE}",
            "--log.format=json",
        ]

    @property
    def _configuration(self) -> Path:
        return self.working_folder() / "prometheus.yml"


class Alertmanager(MonitoringService):
    """Alertmanager, with the routes and inhibitions of servers. It reports alerts to the API and notifies nobody."""

    name: ClassVar[str] = "alertmanager"
    program: ClassVar[str] = "prometheus-alertmanager"
    ready_path: ClassVar[str] = "/-/ready"
    code: ClassVar[tuple[str, ...]] = (*MonitoringService.code, "infra/alertmanager")
    needs: ClassVar[tuple[str, ...]] = ("api",)

    def prepare(self) -> None:
        """Write the configuration."""
        content = alert_routes(self._receivers)
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(content, encoding="utf-8")

    def options(self) -> list[str]:
        """Return the options. By default, it would listen to other Alertmanagers on all addresses."""
        return [
            f"--config.file={self._configuration}",
            f"--storage.path={self.stack.folder('run', self.name, 'data')}",
            "--cluster.listen-address=",
            "--log.format=json",
        ]

    def after_start(self) -> None:
        """Create its API key, which it reads for each request. Without one, alerts are shown but not recorded."""
        receivers, login = self._receivers, ("admin", self.stack.env["OKR_ADMIN_PASSWORD"])
        try:
            ensure_key(receivers.api_url, login, receivers.key_file)
        except OkrError as error:  # such as another password, which a person has chosen
            get_logger(__name__).warning("alerts are not recorded: `okr alertmanager key` helps", error=str(error))

    @property
    def _configuration(self) -> Path:
        return self.working_folder() / "alertmanager.yml"

    @property
    def _receivers(self) -> Receivers:
        return Receivers(self.stack.env["OKR_API_URL"], self.working_folder() / "api-key")


class NodeExporter(MonitoringService):
    """Metrics of the host."""

    name: ClassVar[str] = "node-exporter"
    program: ClassVar[str] = "prometheus-node-exporter"


class PostgresExporter(MonitoringService):
    """Metrics of PostgreSQL, as far as the collector's login may see them: no texts of statements."""

    name: ClassVar[str] = "postgres-exporter"
    program: ClassVar[str] = "prometheus-postgres-exporter"
    needs: ClassVar[tuple[str, ...]] = ("warehouse",)

    def options(self) -> list[str]:
        """Return the options: queries of our own, for which the login has the rights."""
        return [*POSTGRES_OPTIONS, f"--extend.query-path={POSTGRES_QUERIES}"]

    def environment(self) -> dict[str, str]:
        """Return an environment with the login, which is not on the command line."""
        dsn = f"{self.stack.env['OKR_DSN_METRICS']}?sslmode=disable"
        return base_environment(self.stack) | {"DATA_SOURCE_NAME": dsn}


class RedisExporter(MonitoringService):
    """Metrics of Redis."""

    name: ClassVar[str] = "redis-exporter"
    program: ClassVar[str] = "prometheus-redis-exporter"
    needs: ClassVar[tuple[str, ...]] = ("redis",)

    def options(self) -> list[str]:
        """Return the options. The login may not read the configuration, which contains passwords."""
        return [f"--redis.addr=redis://{address(self.stack, 'redis')}", "--config-command=-"]

    def environment(self) -> dict[str, str]:
        """Return an environment with the login, which is not on the command line."""
        login = parts_of(self.stack.env["OKR_REDIS_METRICS_URL"].replace("redis://", "postgresql://"))
        return base_environment(self.stack) | {"REDIS_USER": login["user"], "REDIS_PASSWORD": login["password"]}


class BlackboxExporter(MonitoringService):
    """Requests from outside: whether the API is ready and, with nginx, until when its certificate is valid."""

    name: ClassVar[str] = "blackbox-exporter"
    program: ClassVar[str] = "prometheus-blackbox-exporter"

    def prepare(self) -> None:
        """Write the configuration."""
        ca_file = self.stack.state / "tls" / "ca.pem" if self.stack.has_tls else None
        self._configuration.write_text(probe_modules(ca_file), encoding="utf-8")

    def options(self) -> list[str]:
        """Return the options."""
        return [f"--config.file={self._configuration}"]

    @property
    def _configuration(self) -> Path:
        return self.working_folder() / "blackbox.yml"


MONITORING: tuple[type[MonitoringService], ...] = (
    Prometheus,
    Alertmanager,
    NodeExporter,
    PostgresExporter,
    RedisExporter,
    BlackboxExporter,
)


def installed() -> tuple[type[MonitoringService], ...]:
    """Return the services whose programs are installed now."""
    return tuple(kind for kind in MONITORING if find(kind.program))


def check_programs(say: Callable[[str], None]) -> None:
    """Say which optional programs are missing.

    Raises:
        PermanentError: Prometheus is not installed.
    """
    require(Prometheus.program)
    if missing := [kind.program for kind in MONITORING if kind not in installed()]:
        say(f"Not installed, so without: `sudo apt-get install {' '.join(missing)}` (Debian) adds them.")


def local_monitoring(stack: Stack) -> Monitoring:
    """Return what the local Prometheus scrapes: what is installed, the API and the metrics collector."""
    host = platform.node() or "localhost"
    running = {kind.name for kind in installed()}

    def job(name: str, service: str) -> Job:
        return Job(name, [Target(address(stack, service), host)])

    jobs = [
        job("okr", "metrics"),
        Job("api", [Target(address(stack, "api"), host)], token_file=_token_file(stack)),
        job("prometheus", "prometheus"),
    ]
    exporters = {"alertmanager": "alertmanager", **{name: f"{name}-exporter" for name in ("node", "postgres", "redis")}}
    if kafka_jars.agent() is not None:
        jobs.append(job("kafka", "kafka-jmx"))
    jobs += [job(name, service) for name, service in exporters.items() if service in running]
    if BlackboxExporter.name in running:
        urls = [f"{stack.env['OKR_API_URL']}/readyz", *([f"{stack.public_url}/livez"] if stack.has_tls else [])]
        prober = address(stack, BlackboxExporter.name)
        jobs.append(Job("probe", [Target(url, url) for url in urls], path="/probe", prober=prober))
    alertmanagers = [address(stack, "alertmanager")] if Alertmanager.name in running else []
    return Monitoring("local", jobs, alertmanagers)


def address(stack: Stack, service: str) -> str:
    """Return the loopback address of a service."""
    return f"{LOOPBACK}:{stack.port(service)}"


def _token_file(stack: Stack) -> Path:
    return stack.folder("run", Prometheus.name) / "api-token"
