"""Python's types for schemas."""

from typing import Any

from serving.client_generator.description import REF, Schema

FORMATS = {"date": "date", "date-time": "datetime", "uuid": "UUID", "binary": "bytes"}
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def response_type(schema: Schema) -> str:
    """Return the type of a value in a response. Enumerations are text, so that new values do not break clients."""
    if "$ref" in schema:
        return class_name(schema["$ref"].removeprefix(REF))
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(response_type(each) for each in schema["anyOf"]))
    match schema.get("type"):
        case "array":
            return f"list[{response_type(schema.get('items', {}))}]"
        case "object":
            values = schema.get("additionalProperties")
            return f"dict[str, {response_type(values) if isinstance(values, dict) else 'Any'}]"
        case "string":
            return FORMATS.get(schema.get("format", ""), "str")
        case kind:
            return PLAIN.get(str(kind), "Any")


def argument_type(schema: Schema, *, is_query: bool = False) -> str:
    """Return the type of an argument, which is more general than the type of a value in a response.

    A parameter of the query that may be repeated also takes a single value.
    """
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(argument_type(each, is_query=is_query) for each in schema["anyOf"]))
    if "enum" in schema:
        return f"Literal[{', '.join(repr(each) for each in schema['enum'])}]"
    if schema.get("type") == "array":
        item = argument_type(schema.get("items", {}))
        return f"{item} | Sequence[{item}]" if is_query else f"Sequence[{item}]"
    if schema.get("type") == "object":
        return "Mapping[str, Any]"
    if "$ref" in schema:
        return f"models.{response_type(schema)} | Mapping[str, Any]"
    return response_type(schema)


def optional(annotation: str) -> str:
    """Return a type that includes None."""
    return annotation if annotation == "Any" or annotation.endswith("None") else f"{annotation} | None"


def class_name(schema_name: str) -> str:
    """Return the name of the class of a schema: `Figure_dict_str__float__` becomes `FigureDictStrFloat`."""
    parts = [part for part in schema_name.split("_") if part]
    return parts[0] + "".join(part[0].upper() + part[1:] for part in parts[1:])


def documentation(text: Any) -> str:
    """Return a text as the content of a docstring."""
    return str(text).strip().replace("\\", "\\\\").replace('"""', "'''")
