"""The values of nginx's configuration, and the configuration that they give."""

import pwd
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

import infra
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings

# The same as in serving/http/security_headers.py and serving/web/static_sites.py, which this package may not import.
# tests/ops/nginx compares nginx's responses with the API's.
_SITE = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
POLICIES = {
    "default": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "catalog": f"{_SITE}; script-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self' data:",
    "quality": f"{_SITE}; img-src 'self' data:; font-src 'self'; sandbox allow-same-origin",
    "tools": "frame-ancestors 'self'; base-uri 'self'; form-action 'self'; object-src 'none'",  # Airflow and MLflow
}
# Headers with which a client could pose as a proxy or as somebody else, or reach another path. No upstream gets them.
UNTRUSTED_HEADERS = (
    "Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server",
    "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token", "X-Real-IP", "X-User", "X-Remote-User", "Remote-User", "X-Authenticated-User",
    "X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Proxy",
)  # fmt: skip
RELEASES = Path("/opt/okr/releases")
_SERVER = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?")
_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):\d{1,5}")


@dataclass(frozen=True)
class Site:
    """What the template needs. Paths are absolute.

    `authority` is the host and port in the address that people use. `api_server` is where the API of this host listens:
    `unix:<path>` or `<address>:<port>`. `api_hosts` are the internal listeners (`inner_listen`) of all hosts among
    which requests are balanced, this one included; without them, all requests go to `api_server`. `airflow` and
    `mlflow` are `<scheme>://<address>:<port>`, or empty.
    """

    authority: str
    server_names: tuple[str, ...]
    https_listen: tuple[str, ...]
    http_listen: tuple[str, ...]
    certificate: Path
    key: Path
    api_server: str
    sites_folder: Path
    web_folder: Path
    airflow: str
    mlflow: str
    pid_file: Path
    error_log: Path
    access_log: Path
    temporary_folder: Path
    user: str = ""
    connections: int = 8_192
    connections_per_address: int = 500
    requests_per_second: int = 2_000
    acme_folder: Path = Path("/var/lib/okr/acme")
    authority_file: Path = Path("/etc/ssl/certs/ca-certificates.crt")
    api_hosts: tuple[str, ...] = ()
    inner_listen: tuple[str, ...] = ()
    inner_certificate: Path = Path()
    inner_key: Path = Path()

    @property
    def host(self) -> str:
        """The name in the address that people use, without the port."""
        return self.server_names[0]


def server_site(settings: Settings) -> Site:
    """Return the site of a server.

    Raises:
        PermanentError: settings are missing or do not fit; the message has a line for each.
    """
    errors = []
    url = urlsplit(settings.api_url)
    if not _is_public_address(url):
        errors.append(
            f"OKR_API_URL is {settings.api_url!r}: expected the public address, such as https://okr.example.org."
        )
    tools = {"airflow": settings.airflow_url, "mlflow": settings.mlflow_url}
    for name, address in tools.items():
        parts = urlsplit(address)
        if address and (parts.scheme not in {"http", "https"} or parts.path.rstrip("/") != f"/{name}"):
            errors.append(
                f"OKR_{name.upper()}_URL is {address!r}: behind nginx, its path must be /{name}, such as "
                f"http://127.0.0.1:8080/{name}."
            )
    hosts = tuple(word.strip() for word in settings.proxy_hosts.split(",") if word.strip())
    errors += [
        f"OKR_PROXY_HOSTS: {host!r} is not an address. Expected host:port, separated by commas."
        for host in hosts
        if not _ADDRESS.fullmatch(host)
    ]
    if settings.proxy_inner_port and not settings.ca_file:
        errors.append(
            "OKR_CA_FILE is empty: with OKR_PROXY_INNER_PORT, expected the authority of the hosts' certificates."
        )
    if errors:
        raise PermanentError("\n  ".join(["nginx cannot be configured:", *errors]))
    return Site(
        authority=url.netloc,
        server_names=(str(url.hostname),),
        https_listen=_on_all_addresses(url.port or 443),
        http_listen=_on_all_addresses(settings.proxy_http_port) if settings.proxy_http_port else (),
        certificate=settings.proxy_certificate,
        key=settings.proxy_key,
        api_server=f"unix:{settings.proxy_socket}",
        sites_folder=settings.sites_dir,
        web_folder=web_folder(),
        airflow=_origin(settings.airflow_url),
        mlflow=_origin(settings.mlflow_url),
        pid_file=Path("/run/nginx.pid"),
        error_log=Path("/var/log/nginx/error.log"),
        access_log=Path("/var/log/nginx/access.log"),
        temporary_folder=Path("/var/lib/nginx"),
        user=_web_user(),
        authority_file=Path(settings.ca_file) if settings.ca_file else _authorities_of_the_system(),
        api_hosts=hosts,
        inner_listen=_on_all_addresses(settings.proxy_inner_port) if settings.proxy_inner_port else (),
        inner_certificate=settings.proxy_inner_certificate,
        inner_key=settings.proxy_inner_key,
    )


def _is_public_address(url: SplitResult) -> bool:
    try:
        port = url.port or 443
    except ValueError:  # above 65,535
        return False
    return url.scheme == "https" and bool(_SERVER.fullmatch(url.netloc)) and url.path in {"", "/"} and port > 0


def web_folder() -> Path:
    """Return the folder with the pages' static files. On a server, it follows the link to the release that serves."""
    folder = Path(infra.__file__).resolve().parents[1] / "serving" / "web"
    if not folder.is_relative_to(RELEASES):
        return folder
    return RELEASES.parent / "serving" / Path(*folder.relative_to(RELEASES).parts[1:])


def configuration(site: Site) -> str:
    """Return nginx's configuration.

    Raises:
        PermanentError: a path has characters that nginx's configuration cannot express.
    """
    environment = Environment(  # nosec B701 -- not HTML; `quoted` escapes paths
        loader=PackageLoader("infra.nginx", "."),
        undefined=StrictUndefined,
        trim_blocks=False,
        autoescape=False,  # noqa: S701 -- not HTML; `quoted` escapes paths
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = _quoted
    template = environment.get_template("nginx.conf.j2")
    return template.render(site=site, policies=POLICIES, untrusted_headers=UNTRUSTED_HEADERS)


def _quoted(path: Path | str) -> str:
    text = str(path)
    if "$" in text or not text.isprintable():
        raise PermanentError(
            f"The path {text!r} has a $ or a control character, which nginx cannot express. Rename it."
        )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


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
    has_ipv6 = Path("/proc/net/if_inet6").is_file() and bool(Path("/proc/net/if_inet6").read_text(encoding="ascii"))
    return (str(port), f"[::]:{port}") if has_ipv6 else (str(port),)
