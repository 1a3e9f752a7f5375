"""Prometheus' configuration, for the local stack and for servers: what it scrapes, its rules and its Alertmanager."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

RULES = Path(__file__).with_name("rules")
POSTGRES_QUERIES = Path(__file__).with_name("postgres_queries.yml")
INTERVAL_S = 15


@dataclass(frozen=True)
class Target:
    """An address (host:port, or a URL to probe) and the name of its host in alerts."""

    address: str
    instance: str


@dataclass(frozen=True)
class Job:
    """Targets of one kind. `token_file` has a bearer token; `prober` is the blackbox exporter that probes the targets.

    `server_name` is the name in the certificates of the targets, if it is not their host's.
    """

    name: str
    targets: Sequence[Target]
    scheme: str = "http"
    path: str = "/metrics"
    token_file: Path | None = None
    prober: str = ""
    server_name: str = ""


@dataclass(frozen=True)
class Monitoring:
    """What one Prometheus does. `certificate` and `key` are for targets that ask for a client's certificate."""

    installation: str
    jobs: Sequence[Job]
    alertmanagers: Sequence[str] = ()
    rules: str = str(RULES / "*.yml")
    interval_s: int = INTERVAL_S
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def configuration(monitoring: Monitoring) -> str:
    """Return prometheus.yml."""
    return _templates().get_template("prometheus.yml.j2").render(monitoring=monitoring)


def probe_modules(ca_file: Path | None) -> str:
    """Return the blackbox exporter's configuration. `ca_file` has all authorities of targets, or is None for HTTP."""
    return _templates().get_template("blackbox.yml.j2").render(probe_authorities=ca_file or "")


def _templates() -> Environment:
    return Environment(  # nosec B701 -- not HTML; values are written as JSON, which is YAML
        loader=PackageLoader("infra.prometheus", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 -- not HTML
        keep_trailing_newline=True,
    )
