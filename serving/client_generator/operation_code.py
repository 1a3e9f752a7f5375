"""Generate the code of the operations: for each, a function that returns a `Call`, and the classes with the methods."""

from serving.client_generator.annotations import class_name, documentation, response_type
from serving.client_generator.arguments import Arguments
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
PAGING = {"cursor", "fields", "format"}  # a list's methods set these parameters, so callers cannot pass them
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
    is_paged = _rows(operation, description) is not None
    arguments = Arguments()
    for parameter in with_enumerations(operation.parameters, description.schemas):
        if not (is_paged and parameter["name"] in PAGING):
            arguments.add_parameter(parameter)
    if operation.body:
        body = _resolved(operation.body, description)
        fields = with_enumerations(body.get("properties", {}), description.schemas)
        arguments.add_fields(fields, body.get("required", []))
    returns = _returns(operation)
    pieces = [f'"{operation.method}"', f'"{operation.path}"', returns, *arguments.options()]
    return [
        "", "",
        f"def _{operation.name}({arguments.signature()}) -> Call[{returns}]:",
        *docstring(_about(operation)),
        f"    return Call({', '.join(pieces)})",
    ]  # fmt: skip


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
    if len(arrays) != 1 or "$ref" not in arrays[0][1]:
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


def _resolved(body: Schema, description: Description) -> Schema:
    return description.schemas[body["$ref"].removeprefix(REF)] if "$ref" in body else body
