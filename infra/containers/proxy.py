"""Print the configuration of the compose file's nginx: `python -m infra.containers.proxy PUBLIC_URL`."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from infra.nginx.site import Site, configuration
from lakehouse.errors import OkrError, PermanentError


def container_site(public_url: str) -> Site:
    """Return the site of nginx in its container, whose user may listen only on high ports.

    Raises:
        PermanentError: the address is not https://<host> or https://<host>:<port>.
    """
    url = urlsplit(public_url)
    if url.scheme != "https" or not url.hostname or url.path not in {"", "/"}:
        raise PermanentError(f"Expected the public address, such as https://okr.example.org, got {public_url!r}.")
    return Site(
        authority=url.netloc,
        server_names=(url.hostname,),
        https_listen=("8443",),
        http_listen=("8080",),
        certificate=Path("/run/secrets/nginx.crt"),
        key=Path("/run/secrets/nginx.key"),
        api_server="api:8000",
        sites_folder=Path("/var/lib/okr/sites"),
        web_folder=Path("/nonexistent"),  # the API serves its static files itself
        airflow="https://airflow-api-server:8080",
        mlflow="https://mlflow:5000",
        pid_file=Path("/tmp/nginx.pid"),  # noqa: S108  # nosec B108 -- the container's own file system
        error_log=Path("/dev/stderr"),
        access_log=Path("/dev/stdout"),
        temporary_folder=Path("/tmp"),  # noqa: S108  # nosec B108 -- as above
        connections=1_024,
        authority_file=Path("/etc/okr/tls/ca.crt"),
    )


if __name__ == "__main__":
    try:
        sys.stdout.write(configuration(container_site(sys.argv[1])))
    except OkrError as error:
        sys.exit(f"proxy: {error}")
