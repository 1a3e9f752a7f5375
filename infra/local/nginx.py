"""nginx in front of the local stack (`okr up --tls`): HTTPS on one loopback port, with the servers' configuration."""

from pathlib import Path
from typing import ClassVar

from infra.local.base_service import Service, base_environment
from infra.local.certificates import ensure_certificates
from infra.local.http_check import get_text
from infra.local.ports import LOOPBACK
from infra.local.stack import Stack
from infra.local.unprivileged import command_prefix, give_ownership
from infra.nginx.apply import nginx_program
from infra.nginx.site import Site, configuration, web_folder

# The supervisor stores and rotates what services write there. nginx opens it by name, as the unprivileged user.
STANDARD_OUTPUT = Path("/dev/stdout")


class Nginx(Service):
    """Debian's nginx, without root privileges."""

    name: ClassVar[str] = "nginx"
    code: ClassVar[tuple[str, ...]] = ("infra/local/nginx.py", "infra/local/certificates.py", "infra/nginx")
    needs: ClassVar[tuple[str, ...]] = ("api",)

    def prepare(self) -> None:
        """Create the certificates, the configuration and the files that nginx writes to."""
        ensure_certificates(self.stack.folder("tls"))
        (self.working_folder() / "nginx.conf").write_text(configuration(local_site(self.stack)), encoding="utf-8")
        temporary = self.stack.folder("run", self.name, "temporary")
        for path in (self.working_folder(), temporary, STANDARD_OUTPUT):
            give_ownership(path)

    def command(self) -> list[str]:
        """Return nginx's command line."""
        options = ["-e", "stderr", "-c", str(self.working_folder() / "nginx.conf"), "-g", "daemon off;"]
        return [*command_prefix(), nginx_program(), *options]

    def environment(self) -> dict[str, str]:
        """Return the environment, which has no setting of the platform."""
        return base_environment(self.stack)

    def check(self) -> None:
        """Check that nginx reaches the API, with a certificate of the stack's authority."""
        get_text(f"{https_url(self.stack)}/livez", self.stack.state / "tls" / "ca.pem")


def https_url(stack: Stack) -> str:
    """Return the address of nginx."""
    return f"https://{LOOPBACK}:{stack.port('nginx')}"


def local_site(stack: Stack) -> Site:
    """Return the site of the local stack. Browsers ignore HSTS for an address, so it has no effect on other servers."""
    address = f"{LOOPBACK}:{stack.port('nginx')}"
    run, tls = stack.folder("run", "nginx"), stack.state / "tls"
    return Site(
        authority=address,
        server_names=(LOOPBACK, "localhost"),
        https_listen=(address,),
        http_listen=(),
        certificate=tls / "server.pem",
        key=tls / "server-key.pem",
        api_server=f"{LOOPBACK}:{stack.port('api')}",
        sites_folder=stack.state / "sites",
        web_folder=web_folder(),
        airflow=f"http://{LOOPBACK}:{stack.port('airflow')}",
        mlflow=f"http://{LOOPBACK}:{stack.port('mlflow')}",
        pid_file=run / "nginx.pid",
        error_log=Path("stderr"),
        access_log=STANDARD_OUTPUT,
        temporary_folder=run / "temporary",
        connections=512,
    )
