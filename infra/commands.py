"""The stack's commands, mounted by `okr`. Light imports only: each command imports what it uses."""

import typer

app = typer.Typer()


@app.command()
def migrate() -> None:
    """Bring the warehouse's schema to the newest revision."""
    from infra.migrations.run import migrate as run_migrations
    from lakehouse.settings import load_settings

    typer.echo(f"The warehouse is at revision {run_migrations(load_settings().require('dsn_owner'))}.")
