"""The site of a server, from its settings."""

import pwd
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from infra.nginx.site import Site, web_folder
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings

# nginx's form for the journal of the host, which is shipped to the store of logs and searched by `okr logs`.
JOURNAL = Path("syslog:server=unix:/dev/log,tag=nginx,nohostname")
_SERVER = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?")
_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):\d{1,5}")


def server_site(settings: Settings) -> Site:
    """Return the site of a server.

    Raises:
        PermanentError: settings are missing or do not fit; the message has a line for each.
    """
    url, hosts = urlsplit(settings.api_url), tuple(_words(settings.proxy_hosts))
    if errors := [*_errors(settings, url, hosts)]:
        raise PermanentError("\n  ".join(["nginx cannot be configured:", *errors]))
    return Site(
        authority=url.netloc,
        server_names=(str(url.hostname),),
        https_listen=_on_all_addresses(url.port or 443) if settings.proxy_public else (),
        http_listen=_on_all_addresses(settings.proxy_http_port if settings.proxy_public else 0),
        certificate=settings.proxy_certificate,
        key=settings.proxy_key,
        api_server=f"unix:{settings.proxy_socket}",
        sites_folder=settings.sites_dir,
        web_folder=web_folder(),
        airflow=_origin(settings.airflow_url),
        mlflow=_origin(settings.mlflow_url),
        pid_file=Path("/run/nginx.pid"),
        error_log=Path("/var/log/nginx/error.log"),
        access_log=JOURNAL,
        temporary_folder=Path("/var/lib/nginx"),
        user=_web_user(),
        authority_file=Path(settings.ca_file) if settings.ca_file else _authorities_of_the_system(),
        api_hosts=hosts,
        internal_listen=_on_all_addresses(settings.proxy_internal_port),
        internal_certificate=settings.proxy_internal_certificate,
        internal_key=settings.proxy_internal_key,
        client_certificate=Path(settings.client_certificate),
        client_key=settings.proxy_client_key,
    )


def _errors(settings: Settings, url: SplitResult, hosts: Sequence[str]) -> Iterator[str]:
    if not _is_public_address(url):
        yield f"OKR_API_URL is {settings.api_url!r}: expected the public address, such as https://okr.example.org."
    for name, address in (("airflow", settings.airflow_url), ("mlflow", settings.mlflow_url)):
        parts = urlsplit(address)
        if address and (parts.scheme not in {"http", "https"} or parts.path.rstrip("/") != f"/{name}"):
            yield (
                f"OKR_{name.upper()}_URL is {address!r}: behind nginx, its path must be /{name}, such as "
                f"http://127.0.0.1:8080/{name}."
            )
    for host in hosts:
        if not _ADDRESS.fullmatch(host):
            yield f"OKR_PROXY_HOSTS: {host!r} is not an address. Expected host:port, separated by commas."
    if (settings.proxy_internal_port or hosts) and not settings.ca_file:
        yield (
            "OKR_CA_FILE is empty: with OKR_PROXY_INTERNAL_PORT or OKR_PROXY_HOSTS, expected the authority of the "
            "hosts' certificates."
        )
    if not settings.proxy_public and not settings.proxy_internal_port:
        yield "OKR_PROXY_PUBLIC is false and OKR_PROXY_INTERNAL_PORT is 0, so nginx would serve nobody."


def _words(text: str) -> Iterator[str]:
    return (word.strip() for word in text.split(",") if word.strip())


def _is_public_address(url: SplitResult) -> bool:
    try:
        port = url.port or 443
    except ValueError:  # above 65,535
        return False
    return url.scheme == "https" and bool(_SERVER.fullmatch(url.netloc)) and url.path in {"", "/"} and port > 0


def _authorities_of_the_system() -> Path:
    debian, oracle = Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt")
    return oracle if oracle.is_file() else debian


def _web_user() -> str:
    """Return nginx's user: www-data on Debian, nginx on Oracle Linux."""
    known = {user.pw_name for user in pwd.getpwall()}
    return "nginx" if "nginx" in known else "www-data"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if url else ""


def _on_all_addresses(port: int) -> tuple[str, ...]:
    if port == 0:
        return ()
    has_ipv6 = Path("/proc/net/if_inet6").is_file() and bool(Path("/proc/net/if_inet6").read_text(encoding="ascii"))
    return (str(port), f"[::]:{port}") if has_ipv6 else (str(port),)
