"""A new event type needs a model file, its generated schema and a line of documentation, and no other change."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.contracts import contracts
from lakehouse.schemas.generate import FOLDER
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.crash import environment_of

PAGE = Path(__file__).parents[3] / "docs" / "events.md"
TOPIC = "okr_system_metrics"
TYPE = "okr.coffee_machine.descaled.v1"
# The model file.
CONTRACT = '''
"""Noun: coffee machine."""

import msgspec

from lakehouse.contracts.fields import Id, Value
from lakehouse.contracts.registry import event


@event("okr.coffee_machine.descaled.v1", topic="okr_system_metrics", key="machine_id")
class CoffeeMachineDescaled(msgspec.Struct, kw_only=True, frozen=True):
    """A coffee machine was descaled."""

    machine_id: Id
    litres: Value
'''
# The line of docs/events.md.
LINE = f"| `{TYPE}` | `{TOPIC}` | `machine_id` | A coffee machine was descaled. |"
# The normal commands, with the folder of the model file on the path of the package.
WITH_THE_FILE = """
import sys
from datetime import UTC, datetime
import lakehouse.contracts
lakehouse.contracts.__path__.append(sys.argv.pop(1))
"""
PRODUCE = """
from ingestion.contract_validation import encode
from ingestion.producer import EventProducer
from lakehouse.contracts.coffee_machine import CoffeeMachineDescaled
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import load_settings

with EventProducer(KafkaConnection.of(load_settings())) as producer:
    for number in range(3):
        data = CoffeeMachineDescaled(machine_id=f"m{number}", litres=0.5)
        producer.send(encode(data, at=datetime.now(UTC), source="test"))
"""
COMMAND = """
from lakehouse.cli import main
main()
"""


@pytest.fixture
def contract_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "coffee_machine.py").write_text(CONTRACT)
    return folder


def run(folder: Path, settings: Settings, code: str, *arguments: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", WITH_THE_FILE + code, str(folder), *arguments],
        env=environment_of(settings), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_a_new_event_type_is_produced_landed_and_loaded(pipeline: Settings, contract_folder: Path) -> None:
    run(contract_folder, pipeline, PRODUCE)
    run(contract_folder, pipeline, COMMAND, "consume", "land", "--drain")
    run(contract_folder, pipeline, COMMAND, "load")
    with connect(pipeline.require("dsn_owner")) as connection:
        rows = connection.execute(
            "SELECT subject, data ->> 'litres' FROM raw.okr_system_metrics WHERE event_type = %s ORDER BY 1", [TYPE]
        ).fetchall()
    assert rows == [("m0", "0.5"), ("m1", "0.5"), ("m2", "0.5")]
    run(contract_folder, pipeline, COMMAND, "lake", "verify")


def test_the_check_fails_until_the_command_has_written_the_schema(contract_folder: Path, tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    for path in FOLDER.glob("*.json"):
        (schemas / path.name).write_text(path.read_text())
    arguments = ("contracts", "schemas", "--folder", str(schemas))
    nowhere = Settings(state=tmp_path)
    command = [sys.executable, "-c", WITH_THE_FILE + COMMAND, str(contract_folder), *arguments]
    missing = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False, env=os.environ)
    assert missing.returncode == 1
    assert f"{TYPE}.json is missing. Write it with `okr contracts schemas`" in missing.stderr
    run(contract_folder, nowhere, COMMAND, *arguments)
    written = json.loads((schemas / f"{TYPE}.json").read_text())
    assert (written["x-topic"], written["required"]) == (TOPIC, ["machine_id", "litres"])
    run(contract_folder, nowhere, COMMAND, *arguments, "--check")


def documented(text: str) -> dict[str, tuple[str, str]]:
    """Return topic and key by event type, from the lines of the table; each type has one line, with a meaning."""
    lines = [line for line in text.splitlines() if line.startswith("| `okr.")]
    found = {}
    for line in lines:
        match = re.fullmatch(r"\| `(\S+)` \| `(\S+)` \| `(\S+)` \| (.{10,}) \|", line)
        assert match, f"docs/events.md: expected | `type` | `topic` | `key` | meaning |, got {line}"
        name, topic, key, _ = match.groups()
        assert name not in found, f"docs/events.md has two lines for {name}"
        found[name] = (topic, key)
    return found


def undocumented(names: dict[str, tuple[str, str]], text: str) -> list[str]:
    lines = documented(text)
    wrong = [f"docs/events.md lacks the line of {name}" for name, place in names.items() if lines.get(name) != place]
    return wrong + [f"docs/events.md lists the unknown event type {name}" for name in lines.keys() - names.keys()]


def test_every_event_type_has_one_line_of_documentation() -> None:
    names = {name: (contract.topic, contract.key) for name, contract in contracts().items()}
    assert undocumented(names, PAGE.read_text()) == []


def test_an_event_type_without_a_line_of_documentation_is_reported() -> None:
    names = {name: (contract.topic, contract.key) for name, contract in contracts().items()}
    names[TYPE] = (TOPIC, "machine_id")
    page = PAGE.read_text()
    assert undocumented(names, page) == [f"docs/events.md lacks the line of {TYPE}"]
    assert undocumented(names, f"{page}\n{LINE}\n") == []
