"""The `okr` command: mounts the commands that each package brings, without importing what they use.

The script `okr` (infra/okr) runs this module in Python's isolated mode, so that no PYTHON* variable has a say.
"""

import os
import sys
from importlib.metadata import entry_points

import typer

from lakehouse.environment import isolate
from lakehouse.errors import OkrError
from lakehouse.logs import configure_logging
from lakehouse.settings import drop_foreign_exports, state_folder

GROUP = "okr_lakehouse.commands"


def build() -> typer.Typer:
    """Return the whole command line, packages in a fixed order."""
    # Here, not above: psycopg reads the environment when it is imported, and only `main` has cleaned it by now.
    from lakehouse.publication_commands import app as publication_app
    from lakehouse.quarantine.commands import app as quarantine_app
    from lakehouse.schemas.commands import app as contracts_app

    about = "OKR analytics: run the stack, move events from Kafka to the marts, forecast key results."
    app = typer.Typer(no_args_is_help=True, help=about, pretty_exceptions_enable=False, add_completion=False)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        app.add_typer(entry.load())
    app.add_typer(publication_app)
    app.add_typer(quarantine_app, name="quarantine")
    app.add_typer(contracts_app, name="contracts")
    return app


def main() -> None:
    """Run a command; an error of ours becomes one line on standard error and its exit status, mostly 1."""
    try:
        state = state_folder()
        for remark in (*isolate(state), *drop_foreign_exports(state)):
            sys.stderr.write(f"okr: {remark}\n")
        configure_logging(as_json=os.environ.get("OKR_LOG_JSON", "").lower() in {"1", "true"})
        build()(prog_name="okr")
    except OkrError as error:
        sys.stderr.write(f"okr: {error}\n")
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
