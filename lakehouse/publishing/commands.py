"""`okr publication`: show the publications that analysts, the API and the page read, and roll back."""

import typer

from lakehouse.settings import load_settings

app = typer.Typer()
group = typer.Typer(no_args_is_help=True, help="Manage publications of the marts: list, current, rollback, resume.")
app.add_typer(group, name="publication")


SHOWN = ("publication_id", "published_at", "data_as_of", "dbt_run_id", "model_version", "is_current")


def _line(publication: object) -> str:
    return "\t".join(f"{name}={getattr(publication, name)}" for name in SHOWN)


def _show_holds(dsn: str) -> None:
    from lakehouse.publishing.hold_reasons import holds

    for hold in holds(dsn):
        typer.echo(hold)


@group.command("list")
def list_() -> None:
    """Show recent publications, newest first, and, if publications are on hold, the reasons."""
    from lakehouse.publishing import publication

    dsn = load_settings().require("dsn_serving")
    for row in publication.history(dsn):
        typer.echo(_line(row))
    _show_holds(dsn)


@group.command()
def current() -> None:
    """Show the current publication and, if publications are on hold, the reasons."""
    from lakehouse.publishing import publication

    dsn = load_settings().require("dsn_serving")
    row = publication.current(dsn)
    nothing = "Nothing has been published yet: run `okr dag start okr_etl_dag` (`make demo` does this)."
    typer.echo(_line(row) if row else nothing)
    _show_holds(dsn)


@group.command()
def rollback() -> None:
    """Roll back to the previous publication. New publications are then on hold until `okr publication resume`."""
    from lakehouse.operator_actions import recorded
    from lakehouse.publishing import publication

    with recorded("publication.rolled_back", "publications") as details:
        restored = publication.rollback(load_settings().require("dsn_transform")).restored
        details["restored"] = restored.publication_id
    typer.echo(_line(restored))


@group.command()
def resume() -> None:
    """End the hold after a rollback. Runs then publish again, so fix the cause of the rollback first."""
    from lakehouse.operator_actions import recorded
    from lakehouse.publishing import publication

    with recorded("publication.resumed", "publications") as details:
        rolled_back = publication.resume(load_settings().require("dsn_transform"))
        details["dropped"] = [str(each) for each in rolled_back]
    ids = ", ".join(map(str, rolled_back))
    remark = f" These were rolled back and stay unpublished: {ids}." if rolled_back else ""
    typer.echo(f"Publications resumed.{remark}")
