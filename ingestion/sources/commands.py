"""`okr simulate` and `okr produce …`: the commands of the sources."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.settings import load_settings

app = typer.Typer(no_args_is_help=True)
produce = typer.Typer(no_args_is_help=True, help="Send events to Kafka from a source.")
app.add_typer(produce, name="produce")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]


@produce.command("files")
def produce_files(
    folder: Annotated[Path, typer.Argument(help="Holds key_results.csv and check_ins.csv.")], as_json: AsJson = False
) -> None:
    """Send an organisation's own history. Rows that cannot be used are listed with line and reason."""
    from ingestion.producer import EventProducer
    from ingestion.sources.okr_files.importer import ImportReport, read_folder, send_history

    settings = load_settings()
    history, rejected = read_folder(folder, state=settings.state, now=datetime.now(UTC))
    with EventProducer(settings.require("kafka_bootstrap"), client_id="okr-files") as producer:
        sent = send_history(history, producer.send)
    report = ImportReport(folder, history, rejected, sent)
    _print(report.as_json(), report.as_lines(), as_json=as_json)


def _print(document: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    for line in [json.dumps(document, indent=2)] if as_json else lines:
        typer.echo(line.encode(errors="replace").decode())
