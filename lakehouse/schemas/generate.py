"""Generate JSON Schemas from the models: one document per event type and one for the envelope."""

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from lakehouse.contracts import Contract, Envelope, contracts

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).parents[1] / "contracts" / "schemas"
ENVELOPE = "envelope"
ROOT = "#/$defs/"


def all_schemas() -> dict[str, Schema]:
    """Return all schemas by name, which is the event type or `envelope`."""
    return {ENVELOPE: envelope_schema()} | {
        name: event_schema(contract) for name, contract in sorted(contracts().items())
    }


def event_schema(contract: Contract) -> Schema:
    """Return the schema of an event type's `data`.

    `x-topic` is the topic, and `x-key` is the field that contains the Kafka key. The schema omits rules that involve
    several fields (`__post_init__` of the model), because JSON Schema cannot express them.
    """
    return _document(contract.name, contract.model) | {"x-topic": contract.topic, "x-key": contract.key}


def envelope_schema() -> Schema:
    """Return the schema of the envelope. The schema of the event type describes its `data`."""
    return _document(ENVELOPE, Envelope)


def schema_id(name: str) -> str:
    """Return the URI of a schema, which a source may set as the `dataschema` of an event."""
    return f"urn:okr-lakehouse:schema:{name}"


def as_text(schema: Schema) -> str:
    """Return the text of a schema file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def file_of(folder: Path, name: str) -> Path:
    """Return the path of a schema file."""
    return folder / f"{name}.json"


def _document(name: str, model: type[msgspec.Struct]) -> Schema:
    generated = msgspec.json.schema(model)
    definitions = generated["$defs"]
    root = definitions.pop(generated["$ref"].removeprefix(ROOT))
    document = {"$schema": DIALECT, "$id": schema_id(name)} | root | {"title": name}
    if definitions:
        document["$defs"] = definitions
    cleaned: Schema = _clean(document)
    return cleaned


def _clean(value: Any) -> Any:
    """Remove the indentation of the source code from descriptions."""
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(each) if key == "description" and isinstance(each, str) else _clean(each)
            for key, each in value.items()
        }
    return [_clean(each) for each in value] if isinstance(value, list) else value
