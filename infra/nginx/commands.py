"""`okr nginx`: write the configuration of a server's nginx, and let it load it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.nginx.site import Site

group = typer.Typer(no_args_is_help=True, help="Configure nginx on a server.")

File = Annotated[Path, typer.Option(help="nginx's configuration file, which is replaced.")]


@group.command()
def render() -> None:
    """Print the configuration that `okr nginx apply` would write."""
    from infra.nginx.site import configuration

    typer.echo(configuration(_site()), nl=False)


@group.command()
def apply(file: File = Path("/etc/nginx/nginx.conf")) -> None:
    """Check the certificates and the configuration, replace the file and let a running nginx load it.

    On failure, nginx keeps what it has. Run this command after each renewal of a certificate.
    """
    from infra.nginx.apply import apply as apply_site

    apply_site(_site(), file, typer.echo)


def _site() -> "Site":
    from infra.nginx.server_site import server_site
    from lakehouse.settings import load_settings

    return server_site(load_settings())
