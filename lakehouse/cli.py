"""The `okr` command. It adds the commands of each package without importing the packages' dependencies.

The script `okr` (infra/okr) runs this module in Python's isolated mode, which ignores all PYTHON* variables.
"""

import sys
from importlib.metadata import entry_points

import typer

from lakehouse.configuration.foreign_exports import drop_foreign_exports
from lakehouse.environment import isolate
from lakehouse.errors import OkrError
from lakehouse.logs import configure_logging, is_json, log_fatal, report_error, report_remark
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
    """Run a command. An `OkrError` is printed as one line on standard error and sets the exit status, usually 1.

    A service logs it, and any other exception, as one line of JSON (OKR_LOG_JSON).
    """
    configure_logging(as_json=is_json())
    try:
        state = state_folder()
        for remark in (*isolate(state), *drop_foreign_exports(state)):
            report_remark(remark)
        build()(prog_name="okr")
    except OkrError as error:
        report_error(error)
        sys.exit(error.exit_status)
    except Exception as error:
        if not is_json():
            raise
        log_fatal(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
