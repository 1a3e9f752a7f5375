"""The certificates of an installation's hosts, each in the folder of its host (docs/installation.md)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from infra.certificates.issue import Request, ends_soon, is_from, new_authority, new_certificate, read_issuer
from lakehouse.errors import PermanentError

AUTHORITY_LIFE, LIFE, RENEWAL = timedelta(days=3_650), timedelta(days=398), timedelta(days=60)
API, CLIENT, MONITORING = (
    "okr-api",
    "okr-client",
    "okr-monitoring",
)  # the names by which hosts know each other (docs/nginx.md)


@dataclass(frozen=True)
class Hosts:
    """The hosts by zone, and the name that people use; it is empty if a public authority signs its certificate."""

    public: str
    edge: Sequence[str]
    app: Sequence[str]
    data: Sequence[str]
    monitoring: Sequence[str] = ()


def issue(folder: Path, hosts: Hosts, say: Callable[[str], None]) -> None:
    """Create the authority and the certificates that are missing or end within 60 days. Others are kept.

    Raises:
        PermanentError: the authority would end before the certificates.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority, authority_key = folder / "ca.pem", folder / "ca-key.pem"
    if not authority.is_file() or not authority_key.is_file():
        new_authority(authority, authority_key, "OKR lakehouse", AUTHORITY_LIFE)
        say(f"{authority}: the new authority. Keep {authority_key.name} away from the hosts.")
    if ends_soon(authority, LIFE):
        raise PermanentError(f"{authority} ends soon. docs/connections.md says how to replace an authority.")
    issuer = read_issuer(authority, authority_key)
    for name, key_name, request in _wanted(hosts):
        file, key_file = folder / name, folder / key_name
        if key_file.is_file() and is_from(issuer, file) and not ends_soon(file, RENEWAL):
            continue
        file.parent.mkdir(mode=0o700, exist_ok=True)
        new_certificate(file, key_file, issuer, request, LIFE)
        say(f"{file}: for {', '.join(request.hosts)}")


def _wanted(hosts: Hosts) -> Iterator[tuple[str, str, Request]]:
    """Yield the files of each certificate and its key, and what it is for. The key of kafka.pem is in the same file."""
    for host in hosts.edge:
        if hosts.public:
            yield f"{host}/certificate.pem", f"{host}/key.pem", Request("okr-lakehouse", (hosts.public,))
    for host in dict.fromkeys((*hosts.edge, *hosts.app)):
        yield f"{host}/internal.pem", f"{host}/internal-key.pem", Request(API, (API, host), is_client=True)
    if hosts.app:
        yield "client.pem", "client-key.pem", Request(CLIENT, (CLIENT,), is_client=True)
    if hosts.monitoring:
        yield "monitoring.pem", "monitoring-key.pem", Request(MONITORING, (MONITORING,), is_client=True)
        for host in dict.fromkeys((*hosts.edge, *hosts.app, *hosts.data, *hosts.monitoring)):
            yield f"{host}/metrics.pem", f"{host}/metrics-key.pem", Request("okr-metrics", (host,))
    for host in hosts.data:
        for server in ("postgres", "redis"):
            yield f"{host}/{server}.pem", f"{host}/{server}-key.pem", Request(server, (host,))
        yield f"{host}/kafka.pem", f"{host}/kafka.pem", Request("kafka", (host,))
