"""`okr backup` and `okr restore`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.backup.repository import Repository
    from lakehouse.settings import Settings

group = typer.Typer(no_args_is_help=True, help="Back up the whole platform into one encrypted repository.")

Parts = Annotated[
    list[str] | None,
    typer.Option("--part", help="Only this part: postgres, lake, models, kafka or settings. Repeatable."),
]
RepositoryOption = Annotated[
    str, typer.Option("--repository", help="Folder on another disk, s3:https://... or sftp:... Default: the setting.")
]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="File with the password of the repository. Default: the setting.")
]


@group.command()
def init(repository: RepositoryOption = "", password_file: PasswordFile = None) -> None:
    """Create the repository. In the local stack, generate its password and store both in stack.env."""
    from infra.backup.new_repository import create

    for line in create(_settings(repository, password_file), password_file):
        typer.echo(line)


@group.command()
def run(
    part: Parts = None,
    verify: Annotated[bool, typer.Option(help="Check afterwards that the recovery point is complete.")] = True,
) -> None:
    """Make a recovery point: store all parts, or the given ones and what must agree with them."""
    from infra.backup.metrics import Metrics
    from infra.backup.run import run as back_up
    from infra.backup.run import wanted_parts
    from infra.backup.verify import note_verified, verify_lists

    settings = _settings()
    point = back_up(settings, wanted_parts(settings, part), typer.echo)
    if verify:
        repository = _repository(settings)
        repository.check(read_data=False)
        verify_lists(repository, point, settings.require("lake_uri"))
        note_verified(Metrics(settings.state.absolute(), settings.metrics_dir), point)
    typer.echo(f"Recovery point {point.id} of {point.cut.at}.")


@group.command("list")
def list_points(repository: RepositoryOption = "", password_file: PasswordFile = None) -> None:
    """List the recovery points, the oldest first. `okr restore --at` accepts any time between them."""
    from infra.backup.point import points_of

    points = points_of(_repository(_settings(repository, password_file)))
    for point in points:
        size = sum(point.sizes.values()) / 1e6
        kind = "full" if point.is_full else "log and lake"
        typer.echo(f"{point.id}  {point.cut.at[:19]}Z  {kind:<12}  {size:9,.1f} MB  release {point.version}")
    if not points:
        typer.echo("There is no recovery point yet. `okr backup run` makes one.")
        raise typer.Exit(1)


@group.command()
def verify(
    data: Annotated[bool, typer.Option("--data", help="Read every byte of the repository.")] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Restore PostgreSQL and the lake beside the platform.")
    ] = False,
    repository: RepositoryOption = "",
    password_file: PasswordFile = None,
) -> None:
    """Check the repository, and that its newest recovery point is complete."""
    from infra.backup.metrics import Metrics
    from infra.backup.point import points_of
    from infra.backup.run import exclusive
    from infra.backup.verify import note_verified, verify_by_restoring
    from lakehouse.errors import PermanentError

    settings = _settings(repository, password_file)
    state, found = settings.state.absolute(), _repository(settings)
    with exclusive(state):
        found.check(read_data=data)
        points = points_of(found)
        if not points:
            raise PermanentError(
                "The repository has no recovery point. Expected at least one complete `okr backup run`."
            )
        if restore:
            verify_by_restoring(found, points[-1], state, typer.echo)
        if data or restore:
            note_verified(Metrics(state, settings.metrics_dir), points[-1])
    typer.echo(
        f"{len(points)} recovery points; the newest is {points[-1].id} of {points[-1].cut.at}. Nothing is damaged."
    )


@group.command()
def prune() -> None:
    """Remove recovery points beyond OKR_BACKUP_RETENTION_DAYS, and what interrupted runs have left."""
    from infra.backup.point import points_of
    from infra.backup.retention import prune as remove
    from infra.backup.run import exclusive

    settings = _settings()
    repository = _repository(settings)
    with exclusive(settings.state.absolute()):
        repository.unlock()
        points, snapshots = remove(repository, points_of(repository), settings.backup_retention_days)
    typer.echo(f"Removed {points} recovery points and {snapshots} snapshots.")


def restore(
    at: Annotated[str, typer.Option(help="A time, such as 2026-11-29T10:00 (UTC). Default: the newest point.")] = "",
    part: Parts = None,
    to: Annotated[Path | None, typer.Option(help="Restore into this folder instead of OKR_STATE.")] = None,
    repository: RepositoryOption = "",
    password_file: PasswordFile = None,
) -> None:
    """Restore the platform, or parts of it, to one moment. The platform must be stopped."""
    from infra.backup.restoring import restore as bring_back

    for line in bring_back(_settings(repository, password_file), at, part or (), to, typer.echo):
        typer.echo(line)


def _settings(repository: str = "", password_file: Path | None = None) -> "Settings":
    """Return the settings, with the repository and password of the command line, if it names them."""
    from pydantic import SecretStr

    from infra.backup.new_repository import read_password
    from lakehouse.settings import load_settings

    settings = load_settings()
    if repository:
        location = repository if ":" in repository else str(Path(repository).absolute())
        settings = settings.model_copy(update={"backup_repository": location})
    if password_file is not None and password_file.exists():
        settings = settings.model_copy(update={"backup_password": SecretStr(read_password(password_file))})
    return settings


def _repository(settings: "Settings") -> "Repository":
    from infra.backup.run import open_repository

    return open_repository(settings)
