"""Encryption of the configured connections: required to other hosts, and with certificates that will stay valid."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from infra.audit.finding import Finding, NotChecked
from infra.audit.installation import Installation
from lakehouse.configuration.requirements import DSNS, PAGES, REDIS_URLS, VERIFIED, is_this_host
from lakehouse.kafka_connection import SecurityProtocol
from lakehouse.postgres_tls import OF_THE_SYSTEM, start_tls
from lakehouse.settings import Settings
from lakehouse.tls_problems import LIMIT_S, StartTls, client_context, server_problem
from lakehouse.warehouse import parts_of

MIN_DAYS_LEFT = 21
EDGE = "edge"  # the zone of the hosts that clients reach
PUBLIC = "api_url"
PORTS = {"https": 443, "http": 80, "redis": 6379, "rediss": 6379}


@dataclass(frozen=True)
class Connection:
    """A server that a setting names. `required` is what makes the connection encrypted and verified."""

    setting: str
    host: str
    port: int
    is_verified: bool
    required: str
    ca_file: str
    start_tls: StartTls | None = None
    is_public: bool = False  # its certificate may also come from an authority of the system


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each unencrypted connection to another host, and each certificate that is or will be invalid.

    Raises:
        NotChecked: no connection is configured.
    """
    connections = [*_connections(installation.settings)]
    if installation.zones and EDGE not in installation.zones:
        # The firewall lets only clients connect to the public address, which the audit on the edge checks.
        connections = [each for each in connections if not each.is_public]
    if installation.zones == {EDGE}:
        # nginx reaches the API, and nothing on this host connects to the other servers of the common settings.
        connections = [each for each in connections if each.is_public]
    if not connections:
        raise NotChecked("no server is configured")
    seen = set()
    for each in connections:
        if not each.is_verified:
            if not is_this_host(each.host):
                yield Finding(
                    each.setting, f"an encrypted and verified connection to {each.host} ({each.required})",
                    "one that others in the network can read", f"Change the setting: {each.required}.",
                )  # fmt: skip
        elif (server := (each.host, each.port, each.ca_file)) not in seen:
            seen.add(server)
            yield from _certificate(each)


def _certificate(each: Connection) -> Iterator[Finding]:
    server = f"{each.host}:{each.port}"
    ca_file, problem = each.ca_file, server_problem(each.host, each.port, each.ca_file, start_tls=each.start_tls)
    if problem and each.is_public and server_problem(each.host, each.port, "") is None:
        ca_file, problem = "", None
    if problem:
        yield Finding(each.setting, f"a valid certificate of {server}", "none", problem)
        return
    with socket.create_connection((each.host, each.port), LIMIT_S) as plain:
        if each.start_tls is not None:
            each.start_tls(plain)
        with client_context(ca_file).wrap_socket(plain, server_hostname=each.host) as encrypted:
            ends_at = str((encrypted.getpeercert() or {})["notAfter"])
    days = (datetime.fromtimestamp(ssl.cert_time_to_seconds(ends_at), UTC) - datetime.now(UTC)).days
    if days < MIN_DAYS_LEFT:
        yield Finding(
            each.setting, f"a certificate of {server} that is valid for at least {MIN_DAYS_LEFT} days",
            f"{days} days left", "Renew it on the server.",
        )  # fmt: skip


def _connections(settings: Settings) -> Iterator[Connection]:
    for field in DSNS:
        dsn = getattr(settings, field).get_secret_value()
        if dsn and not dsn.startswith("sqlite"):
            yield from _postgres(f"OKR_{field.upper()}", dsn)
    for field in (*REDIS_URLS, *PAGES, PUBLIC):
        value = getattr(settings, field)
        url = urlsplit(value if isinstance(value, str) else value.get_secret_value())
        if url.hostname:
            scheme = "rediss" if field in REDIS_URLS else "https"
            yield Connection(
                f"OKR_{field.upper()}", url.hostname, url.port or PORTS.get(url.scheme, 443), url.scheme == scheme,
                f"{scheme}://", settings.ca_file, is_public=field == PUBLIC,
            )  # fmt: skip
    for server in filter(None, (part.strip() for part in settings.kafka_bootstrap.split(","))):
        host, _, port = server.rpartition(":")
        has_tls = settings.kafka_security_protocol is SecurityProtocol.SASL_SSL
        required = f"OKR_KAFKA_SECURITY_PROTOCOL={SecurityProtocol.SASL_SSL}"
        yield Connection("OKR_KAFKA_BOOTSTRAP", host.strip("[]"), int(port), has_tls, required, settings.ca_file)


def _postgres(setting: str, dsn: str) -> Iterator[Connection]:
    parts = parts_of(dsn)
    hosts, ports = parts["host"].split(","), parts["port"].split(",")
    authorities = parts.get("sslrootcert", "")
    for number, host in enumerate(hosts):
        if not host.startswith("/"):
            yield Connection(
                setting, host, int(ports[min(number, len(ports) - 1)]), parts.get("sslmode") == VERIFIED,
                f"?sslmode={VERIFIED}", "" if authorities == OF_THE_SYSTEM else authorities, start_tls,
            )  # fmt: skip
