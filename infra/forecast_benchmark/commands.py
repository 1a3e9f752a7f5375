"""`okr forecast benchmark`, which is added to the commands of `ml` here, because it needs a database of its own."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from ml.commands import app

TERMINATED = 143  # exit status of a process that SIGTERM ended


@app.command()
def benchmark(
    folders: Annotated[list[Path], typer.Argument(help="Folders with key_results.csv and check_ins.csv.")],
    out: Annotated[Path, typer.Option(help="Folder to write: a CSV of forecasts per folder, and benchmark.md.")],
) -> None:
    """Forecast the past cycles of folders at each check-in, and compare the model with simple reference forecasts.

    Each cycle from the second on is forecast by a model trained only on earlier cycles of the same folder. The features
    are computed in a temporary database, so no stack needs to run. A folder that cannot be forecast is reported and
    skipped; the exit status is then 1.
    """
    from infra.forecast_benchmark.run import run

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that the database is stopped and deleted
    run(folders, out, lambda line: typer.echo(line, err=True))
    typer.echo(f"The forecasts and benchmark.md are in {out}.")
