"""`okr migrate`."""

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def migrate(
    online: Annotated[
        bool, typer.Option("--online", help="Run while services use the database: short locks, one revision at a time.")
    ] = False,
    contract: Annotated[
        bool, typer.Option("--contract", help="With --online: also remove what only earlier releases use.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Only list the outstanding revisions.")] = False,
    revert_to: Annotated[str, typer.Option(help="Revert all revisions after this one. Stop the services first.")] = "",
) -> None:
    """Migrate the warehouse schema to the latest revision, or revert revisions."""
    from infra.migrations.migrate import migrate as run_migrations
    from infra.migrations.online import list_outstanding, migrate_online
    from infra.migrations.revert import revert
    from lakehouse.errors import PermanentError
    from lakehouse.settings import load_settings

    if (contract and not online) or (revert_to and online):
        raise PermanentError("Expected --online, --online --contract or --revert-to REVISION, or no option.")
    dsn = load_settings().require("dsn_owner")
    if listed:
        for line in list_outstanding(dsn):
            typer.echo(line)
        return
    if revert_to:
        revision = revert(dsn, revert_to)
    elif online:
        revision = migrate_online(dsn, contracts=contract, say=typer.echo)
    else:
        revision = run_migrations(dsn)
    typer.echo(f"The warehouse is at revision {revision}.")
