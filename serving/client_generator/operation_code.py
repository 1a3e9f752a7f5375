"""The code of the operations: a function that returns a `Call` for each, and the classes that have the methods."""

from serving.client_generator.annotations import argument_type, class_name, documentation, optional, response_type
from serving.client_generator.description import REF, Description, Operation, Schema, with_enumerations
from serving.client_generator.model_code import HEADER, docstring

IMPORTS = """
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from okr_client import models
from okr_client.calls import Call, new_idempotency_key
from okr_client.methods import (
    AsyncGroup, Group, called, called_async, data_listed, data_listed_async, followed, followed_async, listed,
    listed_async,
)
"""
PAGING = {"cursor", "fields", "format"}  # the parameters that the methods of a list set
IDEMPOTENCY_KEY = "Idempotency-Key"
EVENT_STREAM = "text/event-stream"


def group_code(group: str, operations: list[Operation], description: Description) -> str:
    """Return the code of a group's module."""
    code = [HEADER.format(title=f"Operations of {group.replace('_', ' ')}"), IMPORTS]
    for operation in operations:
        code += _definition(operation, description)
    for prefix, suffix in (("", ""), ("Async", "_async")):
        what = "with coroutines" if prefix else "with blocking calls"
        code += ["", "", f"class {prefix}{group_class(group)}({prefix}Group):"]
        code.append(f'    """The operations of {group.replace("_", " ")}, {what}."""')
        code += ["", *(_method(each, description, suffix) for each in operations)]
    return "\n".join(code) + "\n"


def group_class(group: str) -> str:
    """Return the name of a group's class."""
    return "".join(part.title() for part in group.split("_"))


def groups_code(groups: list[str]) -> str:
    """Return the code of the module that has all groups."""
    names = [(group, group_class(group)) for group in sorted(groups)]
    code = [HEADER.format(title="All groups of operations")]
    code += [f"from okr_client.operations.{group} import Async{name}, {name}" for group, name in names]
    code += ["from okr_client.transports import AsyncTransport, Transport"]
    for prefix in ("", "Async"):
        code += ["", "", f"class {prefix}Admin:", '    """The admin API, by its parts."""', ""]
        code += [f"    def __init__(self, transport: {prefix}Transport) -> None:"]
        parts = [(group.removeprefix("admin_"), name) for group, name in names if group.startswith("admin_")]
        code += [f"        self.{part} = {prefix}{name}(transport)" for part, name in parts]
    exported = sorted(f"{prefix}{name}" for _, name in [*names, ("", "Admin")] for prefix in ("", "Async"))
    return "\n".join([*code, "", "", f"__all__ = {exported!r}"]) + "\n"


def _definition(operation: Operation, description: Description) -> list[str]:
    rows = _rows(operation, description)
    everything = with_enumerations(operation.parameters, description.schemas)
    parameters = [each for each in everything if not (rows and each["name"] in PAGING)]
    in_path = [each for each in parameters if each["in"] == "path"]
    by_place: dict[str, list[str]] = {"path": [], "query": [], "header": [], "body": []}
    arguments = [f"{python_name(each['name'])}: {argument_type(each['schema'])}" for each in in_path]
    required, others = [], []
    for each in parameters:
        name, python = each["name"], python_name(each["name"])
        value = f"{python} or new_idempotency_key()" if name == IDEMPOTENCY_KEY else python
        by_place[each["in"]].append(f'"{name}": {value}')
        if each["in"] != "path":
            annotation = argument_type(each["schema"], is_query=True)
            if each.get("required"):
                required.append(f"{python}: {annotation.removesuffix(' | None')}")
            else:
                others.append(f"{python}: {optional(annotation)} = None")
    body = _properties(operation.body, description)
    for name, schema in body.items():
        if all(name != each["name"] for each in in_path):
            by_place["body"].append(f'"{name}": {name}')
            if name in _required(operation.body, description):
                required.append(f"{name}: {argument_type(schema)}")
            else:
                others.append(f"{name}: {optional(argument_type(schema))} = None")
    named = [*required, *others]
    signature = ", ".join([*arguments, *(["*"] if named else []), *named])
    returns = _returns(operation)
    code = ["", "", f"def _{operation.name}({signature}) -> Call[{returns}]:", *docstring(_about(operation))]
    pieces = [f'"{operation.method}"', f'"{operation.path}"', returns]
    for place, option in (("path", "path_values"), ("query", "query"), ("header", "headers")):
        if by_place[place]:
            pieces.append(f"{option}={{{', '.join(by_place[place])}}}")
    if operation.body:
        pieces.append(f"body={{{', '.join(by_place['body'])}}}")
    return [*code, f"    return Call({', '.join(pieces)})"]


def python_name(name: str) -> str:
    """Return the name of a parameter in Python."""
    return name.lower().replace("-", "_")


def _about(operation: Operation) -> str:
    note = "\n\nDeprecated." if operation.content.get("deprecated") else ""
    return documentation(f"{operation.content.get('description') or operation.content['summary']}{note}")


def _method(operation: Operation, description: Description, suffix: str) -> str:
    definition = f"_{operation.name}"
    if EVENT_STREAM in operation.success:
        return f"    {operation.name} = followed{suffix}({definition})"
    if rows := _rows(operation, description):
        has_exports = any(each["name"] == "format" for each in operation.parameters)
        kind = f"{'data_listed' if has_exports else 'listed'}{suffix}"
        return f'    {operation.name} = {kind}({definition}, "{rows[0]}", models.{rows[1]})'
    return f"    {operation.name} = called{suffix}({definition})"


def _rows(operation: Operation, description: Description) -> tuple[str, str] | None:
    """Return the field with the rows of a paged list and their class, or None for other operations."""
    if operation.method != "GET" or all(each["name"] != "cursor" for each in operation.parameters):
        return None
    reference = operation.success["application/json"]["schema"]["$ref"]
    properties = description.schemas[reference.removeprefix(REF)]["properties"]
    arrays = [(name, each["items"]) for name, each in properties.items() if each.get("type") == "array"]
    if len(arrays) != 1:
        return None
    return arrays[0][0], class_name(arrays[0][1]["$ref"].removeprefix(REF))


def _returns(operation: Operation) -> str:
    content = operation.success
    if not content:
        return "None"
    if "application/json" not in content:
        return "bytes"
    schema = content["application/json"].get("schema", {})
    return f"models.{response_type(schema)}" if "$ref" in schema else response_type(schema)


def _properties(body: Schema, description: Description) -> dict[str, Schema]:
    properties: dict[str, Schema] = _resolved(body, description).get("properties", {})
    return {name: with_enumerations(each, description.schemas) for name, each in properties.items()}


def _required(body: Schema, description: Description) -> list[str]:
    return list(_resolved(body, description).get("required", []))


def _resolved(body: Schema, description: Description) -> Schema:
    return description.schemas[body["$ref"].removeprefix(REF)] if "$ref" in body else body
