"""Rules and suites as plain data, independent of the library that runs them (see `gx_runner`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakehouse.errors import PermanentError
from lakehouse.warehouse import read_sql

# A rule is `-- name: <rule>[ (acceptable)|(advice)]`, `-- expect: <sentence>` lines and a SELECT of the failing rows.
HEADER = re.compile(r"^-- name: (?P<name>\w+)(?: \((?P<kind>acceptable|advice)\))?\n(?P<rest>.*)", re.DOTALL)
LOADED_OR_BUILT = re.compile(r"\b(?:raw\.|int_)\w")  # tables that change before the next publication
EXPECT = re.compile(r"^-- expect: ?(.*)\n", re.MULTILINE)


@dataclass(frozen=True)
class Rule:
    """One expectation. `type` and `arguments` are passed to Great Expectations; `says` is the sentence shown to people.

    `acceptable` marks a plausibility rule, which an operator may override.
    `advice` marks a rule that is only reported and never stops a run (drift).
    """

    name: str
    says: str
    type: str
    arguments: Mapping[str, Any]
    acceptable: bool = False
    advice: bool = False

    @property
    def reads_loaded_or_built(self) -> bool:
        """Whether the rule reads tables of raw or intermediate."""
        return LOADED_OR_BUILT.search(str(self.arguments.get("unexpected_rows_query", ""))) is not None


@dataclass(frozen=True)
class Suite:
    """The rules for one table or, if `frame` is set, for rows in memory."""

    name: str
    table: str
    rules: tuple[Rule, ...]
    rows_at_least: int = 1
    frame: Any = field(default=None, compare=False)

    def all_rules(self) -> tuple[Rule, ...]:
        """Return the rules, preceded by one that requires the minimum number of rows."""
        count = Rule(
            name="has_rows",
            says=f"{self.table} has at least {self.rows_at_least} rows",
            type="expect_table_row_count_to_be_between",
            arguments={"min_value": self.rows_at_least},
        )
        return (count, *self.rules)


def sql_rules(name: str) -> tuple[Rule, ...]:
    """Read `suites/<name>.sql`. Each query returns the rows that break its rule; `{batch}` is the suite's table.

    Raises:
        PermanentError: a query has no name or no `-- expect:` sentence.
    """
    text = read_sql("expectations.suites", name)
    blocks = re.split(r"^(?=-- name: )", text, flags=re.MULTILINE)
    return tuple(_sql_rule(name, block) for block in blocks if block.startswith("-- name: "))


def _sql_rule(file: str, block: str) -> Rule:
    header = HEADER.match(block)
    says = " ".join(EXPECT.findall(block)).strip()
    if not header or not says:
        raise PermanentError(
            f"expectations/suites/{file}.sql: expected `-- name:` and `-- expect:` lines above {block[:80]!r}."
        )
    query = EXPECT.sub("", header["rest"]).strip().rstrip(";")
    return Rule(
        name=header["name"],
        says=says,
        type="unexpected_rows_expectation",
        arguments={"unexpected_rows_query": query},
        acceptable=header["kind"] == "acceptable",
        advice=header["kind"] == "advice",
    )
