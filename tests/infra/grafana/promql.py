"""The metrics that PromQL expressions read."""

from typing import Any

import promql_parser


def metrics_of(expression: str) -> set[str]:
    """Return the names of the metrics in an expression.

    Raises:
        ValueError: it is not PromQL.
    """
    found: set[str] = set()
    waiting: list[Any] = [promql_parser.parse(expression)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)
        for name in ("lhs", "rhs", "expr", "vector_selector", "param"):
            if (child := getattr(node, name, None)) is not None:
                waiting.append(child)
        waiting.extend(getattr(node, "args", None) or ())
    return found
