"""`okr contracts …`: the event types and their JSON Schemas."""

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.errors import PermanentError
from lakehouse.schemas.generate import FOLDER, all_schemas, as_text, file_of

app = typer.Typer(no_args_is_help=True, help="List the event types, and write or check their JSON Schemas.")


@app.command("list")
def list_contracts() -> None:
    """List every event type with its topic and its Kafka key."""
    from lakehouse.contracts import contracts

    for name, contract in sorted(contracts().items()):
        typer.echo(f"{name:<34} {contract.topic:<20} {contract.key}")


@app.command("schemas")
def schemas(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with status 1 if a file is out of date.")
    ] = False,
    against: Annotated[
        str, typer.Option(help="Also compare with the history of a git revision, such as origin/main.")
    ] = "",
    folder: Annotated[Path, typer.Option(help="Folder of the committed schemas.")] = FOLDER,
) -> None:
    """Write the JSON Schema of every event type; if a change breaks old events, report it and write nothing."""
    from lakehouse.schemas.check import incompatible_changes, stale_files
    from lakehouse.schemas.git_history import read_history

    generated = all_schemas()
    history = read_history(folder, against)
    problems = incompatible_changes(generated, history)
    if check:
        problems += stale_files(generated, folder)
    if problems:
        raise PermanentError("\n".join([*problems, f"({history.reach})"]))
    if not check:
        folder.mkdir(parents=True, exist_ok=True)
        for name, schema in generated.items():
            file_of(folder, name).write_text(as_text(schema), encoding="utf-8")
    typer.echo(f"{len(generated)} schemas in {folder}; {history.reach}.")
