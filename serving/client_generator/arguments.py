"""The arguments of an operation's method, and where each of them goes in the request."""

from dataclasses import dataclass, field

from serving.client_generator.annotations import argument_type, optional
from serving.client_generator.description import Schema

IDEMPOTENCY_KEY = "Idempotency-Key"
OPTIONS = {"path": "path_values", "query": "query", "header": "headers"}  # of `Call`, by the place of a parameter


@dataclass
class Arguments:
    """Arguments, as code. Those of the path are positional."""

    positional: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)
    """Items of dictionaries, by place: path, query, header or body."""

    def add_parameter(self, parameter: Schema) -> None:
        """Add a parameter of the path, the query or the headers."""
        name, place = parameter["name"], parameter["in"]
        python = python_name(name)
        value = f"{python} or new_idempotency_key()" if name == IDEMPOTENCY_KEY else python
        self.values.setdefault(place, []).append(f'"{name}": {value}')
        annotation = argument_type(parameter["schema"], is_query=place == "query")
        if place == "path":
            self.positional.append(f"{python}: {annotation}")
        else:
            self._add(python, annotation, is_required=bool(parameter.get("required")))

    def add_fields(self, fields: dict[str, Schema], required: list[str]) -> None:
        """Add the fields of a body. An id that is also in the path is omitted."""
        items = self.values.setdefault("body", [])
        in_path = {each.partition(":")[0] for each in self.positional}
        for name, schema in fields.items():
            if name not in in_path:
                items.append(f'"{name}": {name}')
                self._add(name, argument_type(schema), is_required=name in required)

    def signature(self) -> str:
        """Return the parameters of the method."""
        named = [*self.required, *self.optional]
        return ", ".join([*self.positional, *(["*"] if named else []), *named])

    def options(self) -> list[str]:
        """Return the arguments of `Call` that have the values."""
        found = [
            f"{option}={_dictionary(self.values[place])}" for place, option in OPTIONS.items() if place in self.values
        ]
        return [*found, f"body={_dictionary(self.values['body'])}"] if "body" in self.values else found

    def _add(self, python: str, annotation: str, *, is_required: bool) -> None:
        if is_required:
            self.required.append(f"{python}: {annotation.removesuffix(' | None')}")
        else:
            self.optional.append(f"{python}: {optional(annotation)} = None")


def python_name(name: str) -> str:
    """Return the name of a parameter in Python."""
    return name.lower().replace("-", "_")


def _dictionary(items: list[str]) -> str:
    return f"{{{', '.join(items)}}}"
