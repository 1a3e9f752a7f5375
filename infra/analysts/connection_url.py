"""The address under which analysts reach the warehouse, which is the one that the platform's own roles use."""

from urllib.parse import quote, urlencode

from infra.analysts.logins import DATABASE
from lakehouse.settings import Settings
from lakehouse.warehouse import parts_of


def connection_url(settings: Settings, role: str, password: str) -> str:
    """Return the URL for a login. Without verification in the settings (a local stack), it requires none either.

    The path of the authority's certificate is left out: it is different on the analyst's computer.
    """
    parts = _server(settings)
    hosts, ports = parts["host"].split(","), parts["port"].split(",")
    servers = [_server_text(host, ports[min(number, len(ports) - 1)] or "5432") for number, host in enumerate(hosts)]
    query = {"sslmode": parts["sslmode"]} if "sslmode" in parts else {}
    return f"postgresql://{role}:{quote(password)}@{','.join(servers)}/{DATABASE}" + (
        f"?{urlencode(query)}" if query else ""
    )


def authority_file(settings: Settings) -> str:
    """Return the file with the certificate that signs PostgreSQL's, or nothing if none is set."""
    return _server(settings).get("sslrootcert", "")


def _server(settings: Settings) -> dict[str, str]:
    return parts_of(settings.dsn_serving.get_secret_value() or settings.require("pg_superuser_dsn"))


def _server_text(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{quote(host, safe='')}:{port}"
