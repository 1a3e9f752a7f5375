"""The values of nginx's configuration, and the configuration that they give."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

import infra
from lakehouse.configuration.requirements import is_this_host
from lakehouse.errors import PermanentError

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

ACME_FOLDER = Path("/var/lib/okr/acme")  # for the challenges of certificate authorities


@dataclass(frozen=True)
class Site:
    """What the template needs. Paths are absolute.

    `authority` is the host and port in the address that people use. `api_server` is where the API of this host listens:
    `unix:<path>` or `<address>:<port>`. `api_hosts` are the internal listeners (`internal_listen`) of all hosts with an
    API, among which requests are balanced; without them, all requests go to `api_server`. `airflow` and `mlflow` are
    `<scheme>://<address>:<port>`, or empty; https leads to the internal listener of another host. Without
    `https_listen`, nginx serves other hosts only.
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
    acme_folder: Path = ACME_FOLDER
    authority_file: Path = Path("/etc/ssl/certs/ca-certificates.crt")
    api_hosts: tuple[str, ...] = ()
    internal_listen: tuple[str, ...] = ()
    internal_certificate: Path = Path()
    internal_key: Path = Path()
    client_certificate: Path = Path()
    client_key: Path = Path()

    @property
    def host(self) -> str:
        """The name in the address that people use, without the port."""
        return self.server_names[0]

    @property
    def tools(self) -> dict[str, str]:
        """The addresses of Airflow and MLflow by the first part of their paths."""
        return {name: url for name, url in (("airflow", self.airflow), ("mlflow", self.mlflow)) if url}

    @property
    def own_tools(self) -> dict[str, str]:
        """Those that run on this host. The internal listener leads to no others, so two hosts never form a loop."""
        return {name: url for name, url in self.tools.items() if is_this_host(str(urlsplit(url).hostname))}

    @property
    def has_internal_certificate(self) -> bool:
        """Whether this nginx and those of other hosts identify themselves to each other."""
        return bool(self.internal_listen or self.api_hosts)

    @property
    def has_client_certificate(self) -> bool:
        """Whether this nginx has a certificate for Airflow and MLflow on other hosts."""
        return self.client_certificate != Path()


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
