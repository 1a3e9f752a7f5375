"""`okr deploy`: blue-green deployment on one host."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.deploy.host import CONFIG

if TYPE_CHECKING:
    from infra.deploy.deployment import Deployment
    from infra.deploy.host import Host
    from infra.deploy.units import Units

app = typer.Typer(no_args_is_help=True, help="Deploy a release on this host without downtime, or roll it back.")
Config = Annotated[
    Path,
    typer.Option(help="Layout and limits of this host. If the default file does not exist, built-in defaults apply."),
]


@app.command()
def release(
    version: Annotated[str, typer.Argument(help="Name of a folder in releases/.")], config: Config = CONFIG
) -> None:
    """Deploy a release, or continue its interrupted deployment. If it fails, the earlier release serves again."""
    from lakehouse.operator_actions import recorded

    with _deployment(config) as deployment, recorded("release.deployed", version):
        deployment.run(version)


@app.command()
def restart(config: Config = CONFIG) -> None:
    """Restart the API with the serving release, so that it gets new settings and secrets. No request fails."""
    from lakehouse.operator_actions import recorded

    with _deployment(config) as deployment, recorded("release.restarted", "release"):
        deployment.restart()


@app.command()
def rollback(config: Config = CONFIG) -> None:
    """Go back to the release before the last deployment, or undo an interrupted deployment."""
    from lakehouse.operator_actions import recorded

    with _deployment(config) as deployment, recorded("release.rolled_back", "release"):
        deployment.roll_back()


@app.command()
def contract(config: Config = CONFIG) -> None:
    """Remove from the schema what only earlier releases use. Afterwards, `rollback` is no longer possible."""
    from lakehouse.operator_actions import recorded

    with _deployment(config) as deployment, recorded("schema.contracted", "release"):
        deployment.contract()


@app.command()
def status(config: Config = CONFIG) -> None:
    """Show the colours, the workers and the last deployment."""
    from infra.deploy.status import status_lines

    with _explained():
        host, units = _host(config)
        for line in status_lines(host, units):
            typer.echo(line)


@app.command()
def check(
    version: Annotated[str | None, typer.Argument(help="The release that must serve. Default: any.")] = None,
    config: Config = CONFIG,
) -> None:
    """Check that the release serves and predicts as registered, and that all workers run it. Nothing is changed."""
    from infra.deploy.check import check_host
    from lakehouse.settings import load_settings

    with _explained():
        host, units = _host(config)
        for line in check_host(host, units, load_settings(), version):
            typer.echo(line)


@contextmanager
def _deployment(config: Path) -> "Iterator[Deployment]":
    from infra.deploy.deployment import Deployment
    from lakehouse.settings import load_settings

    with _explained():
        host, units = _host(config)
        yield Deployment(host, units, load_settings(), _say)


def _say(line: str) -> None:
    """Print a line. A pipe that nobody reads any more must not end a deployment, or prevent that it is undone."""
    with suppress(OSError):
        typer.echo(line)


def _host(config: Path) -> "tuple[Host, Units]":
    from infra.deploy.child_units import ChildUnits
    from infra.deploy.host import Host
    from infra.deploy.units import SystemdUnits

    host = Host.read(config)
    host.load_environment()
    return host, SystemdUnits(host) if host.runner == "systemd" else ChildUnits(host)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn errors of the operating system, such as a full disk, into one line."""
    from lakehouse.errors import PermanentError

    try:
        yield
    except OSError as error:
        raise PermanentError(
            f"{error.filename or 'A file'}: {error.strerror or error}. Run this as root, and check that its disk has "
            "free space. `okr deploy status` shows what serves."
        ) from error
