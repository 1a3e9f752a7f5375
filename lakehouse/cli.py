"""The `okr` command. It adds the commands of each package without importing the packages' dependencies.

The script `okr` (infra/okr) runs this module in Python's isolated mode, which ignores all PYTHON* variables.
"""

import os
import sys
from importlib.metadata import entry_points

import typer

from lakehouse.configuration.foreign_exports import drop_foreign_exports
from lakehouse.environment import isolate
from lakehouse.errors import OkrError
from lakehouse.logs import configure_logging
from lakehouse.settings import state_folder

GROUP = "okr_lakehouse.commands"


def build() -> typer.Typer:
    """Return the complete command line, with the packages in a fixed order."""
    # Import this here, because psycopg reads the environment on import, and `main` has to clean the environment first.
    from lakehouse.configuration.commands import app as configuration_app
    from lakehouse.field_encryption.commands import app as keys_app
    from lakehouse.publishing.commands import app as publication_app
    from lakehouse.quarantine.commands import app as quarantine_app
    from lakehouse.schemas.commands import app as contracts_app

    about = "OKR analytics: run the stack, move events from Kafka to the marts, forecast key results."
    app = typer.Typer(no_args_is_help=True, help=about, pretty_exceptions_enable=False, add_completion=False)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        app.add_typer(entry.load())
    app.add_typer(configuration_app)
    app.add_typer(publication_app)
    app.add_typer(quarantine_app, name="quarantine")
    app.add_typer(contracts_app, name="contracts")
    app.add_typer(keys_app, name="keys")
    return app


def main() -> None:
    """Run a command. An `OkrError` is printed as one line on standard error and sets the exit status, usually 1."""
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
