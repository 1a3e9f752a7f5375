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
    typer.Option(
        "--part",
        help="Only this part: postgres, lake, models, kafka or settings. Repeatable. `okr backup run` always adds the "
        "log and the lake.",
    ),
]
RepositoryOption = Annotated[
    str, typer.Option("--repository", help="Folder on another disk, s3:https://... or sftp:... Default: the setting.")
]
Wait = Annotated[int, typer.Option("--wait", min=0, help="Minutes to wait for another backup to end.")]
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
    verify: Annotated[
        bool,
        typer.Option(help="Check the structure of the repository and the lists of files afterwards. No data is read."),
    ] = True,
    wait: Wait = 0,
) -> None:
    """Make a recovery point: store all parts, or the given ones and what must agree with them."""
    from infra.backup.places import Places
    from infra.backup.run import run as back_up
    from infra.backup.run import wanted_parts
    from infra.backup.verify import verify_lists

    settings = _settings()
    parts = wanted_parts(settings, part)
    if not part and "kafka" not in parts:
        typer.echo("  kafka     left out: this host has no broker and no copy of its definitions.")
    point = back_up(settings, parts, typer.echo, wait)
    if verify:
        repository = _repository(settings)
        repository.check(read_data=False)
        verify_lists(repository, point, Places.of(settings).lake)
    typer.echo(f"Recovery point {point.id} of {point.cut.at}.")


@group.command("list")
def list_points(repository: RepositoryOption = "", password_file: PasswordFile = None) -> None:
    """List the recovery points, the oldest first. `okr restore --at` accepts any time between them.

    It does not accept a time between a restore and the base backup after it.
    """
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
        bool, typer.Option("--restore", help="Restore PostgreSQL and the lake to a temporary folder.")
    ] = False,
    repository: RepositoryOption = "",
    password_file: PasswordFile = None,
) -> None:
    """Check the repository and the lists of its newest point and, with --restore, that this point can be restored."""
    from infra.backup.metrics import Metrics
    from infra.backup.point import points_of
    from infra.backup.run import CHECK, exclusive
    from infra.backup.verify import note_verified, verify_by_restoring, verify_snapshots
    from lakehouse.errors import PermanentError

    settings = _settings(repository, password_file)
    state, found = settings.state.absolute(), _repository(settings)
    with exclusive(state, name=CHECK):
        points = points_of(found)
        found.check(read_data=data)
        if not points:
            raise PermanentError(
                "The repository has no recovery point. Expected at least one complete `okr backup run`."
            )
        verify_snapshots(found, points[-1])
        if restore:
            verify_by_restoring(found, points[-1], state, typer.echo)
        if data or restore:
            note_verified(Metrics.of(settings), points[-1])
    typer.echo(
        f"{len(points)} recovery points; the newest is {points[-1].id} of {points[-1].cut.at}. Nothing is damaged."
    )


@group.command()
def prune(wait: Wait = 0) -> None:
    """Remove recovery points beyond OKR_BACKUP_RETENTION_DAYS, and the leftovers of interrupted runs."""
    from infra.backup.point import points_of
    from infra.backup.retention import prune as remove
    from infra.backup.run import CHECK, exclusive

    settings = _settings()
    state, repository = settings.state.absolute(), _repository(settings)
    with exclusive(state, wait), exclusive(state, wait, CHECK):
        repository.unlock()
        points, snapshots = remove(repository, points_of(repository), settings.backup_retention_days)
    typer.echo(f"Removed {points} recovery points and {snapshots} snapshots.")


def restore(  # noqa: PLR0913, PLR0917 -- options of a command
    at: Annotated[str, typer.Option(help="A time, such as 2026-11-29T10:00 (UTC). Default: the newest point.")] = "",
    part: Parts = None,
    to: Annotated[Path | None, typer.Option(help="Restore into this folder instead of OKR_STATE.")] = None,
    repository: RepositoryOption = "",
    password_file: PasswordFile = None,
    while_running: Annotated[
        bool,
        typer.Option("--while-running", help="On a server: restore a copy to look at, while its services run."),
    ] = False,
) -> None:
    """Restore the platform, or parts of it, to one moment.

    The platform must be stopped, unless --to names another folder. On a server, --to is always necessary, and all units
    must be stopped.
    """
    from infra.backup.restoring import restore as bring_back
    from infra.backup.server_units import require_stopped_server

    require_stopped_server(to, while_running=while_running)
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
