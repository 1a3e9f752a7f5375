"""The API's own OpenAPI description, without running it, and how its operations are grouped in the client."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serving.app import describe_api

ROOT = "predictor"  # its operations are methods of the client itself
MERGED = {"check-ins": "writes"}
REF = "#/components/schemas/"
METHODS = ("get", "post", "put", "patch", "delete")

Schema = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """An operation of the API. `group` and `name` are the group and name of its method in the client."""

    group: str
    name: str
    method: str
    path: str
    content: Schema

    @property
    def parameters(self) -> list[Schema]:
        """The parameters in the path, the query and the headers."""
        return list(self.content.get("parameters", []))

    @property
    def body(self) -> Schema:
        """The schema of the JSON body; empty if there is none."""
        schema: Schema = self.content.get("requestBody", {}).get("content", {}).get("application/json", {})
        return dict(schema.get("schema", {}))

    @property
    def success(self) -> Schema:
        """The content of the successful response by media type; empty if it has none."""
        responses = self.content["responses"]
        status = next(each for each in ("200", "201", "202", "204") if each in responses)
        return dict(responses[status].get("content", {}))


@dataclass(frozen=True)
class Description:
    """Operations and schemas."""

    operations: list[Operation]
    schemas: dict[str, Schema]

    def groups(self) -> dict[str, list[Operation]]:
        """Return the operations by group, in the order of the API."""
        found: dict[str, list[Operation]] = {}
        for operation in self.operations:
            found.setdefault(operation.group, []).append(operation)
        return found


def read() -> Description:
    """Return the description of this version of the API."""
    content = describe_api()
    return Description(list(_operations(content)), content["components"]["schemas"])


def referenced(schema: Any) -> Iterator[str]:
    """Yield the names of the schemas to which a part of the description refers."""
    if isinstance(schema, dict):
        if str(schema.get("$ref", "")).startswith(REF):
            yield schema["$ref"].removeprefix(REF)
        for name, each in schema.items():
            if name not in {"example", "examples"}:
                yield from referenced(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from referenced(each)


def with_enumerations(schema: Any, schemas: dict[str, Schema]) -> Any:
    """Return a schema in which references to enumerations are replaced by these."""
    if isinstance(schema, list):
        return [with_enumerations(each, schemas) for each in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).removeprefix(REF)
    if "enum" in schemas.get(name, {}):
        return schemas[name]
    return {key: with_enumerations(each, schemas) for key, each in schema.items()}


def _operations(content: Schema) -> Iterator[Operation]:
    for path, item in content["paths"].items():
        for method in METHODS:
            if method in item:
                tag, _, name = item[method]["operationId"].partition("-")
                group = MERGED.get(item[method]["tags"][0], tag)
                yield Operation(group, _short(name, group, item[method]), method.upper(), path, item[method])


def _short(name: str, group: str, content: Schema) -> str:
    """Return the name of a method without repeating its group: admin.experiments.list, admin.experiments.get(name)."""
    if not group.startswith("admin_"):
        return name
    noun = group.removeprefix("admin_")
    is_list = noun.endswith("s") or any(each["name"] == "cursor" for each in content.get("parameters", ()))
    if name == noun and is_list:
        return "list"
    return "get" if name in {noun, noun.removesuffix("s")} else name
