"""How many rows break each rule, asked as a database and a data frame answer fastest: all rules of a suite at once.

Great Expectations asks rule by rule, and its own work takes longer than the answers. Rules nearly always hold, so the
gate lets it judge these counts at once, and gives it only those suites whole of which some rule has a row at fault.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from expectations.rules import Rule, Suite
from lakehouse.connection_limits import Limits
from lakehouse.warehouse import connect

if TYPE_CHECKING:
    import pandas as pd

CONNECTIONS = 2


@dataclass(frozen=True)
class Counts:
    """The rows of a suite's table, and those that break each of its rules, in their order."""

    suite: Suite
    rows: int
    at_fault: tuple[int, ...]

    def beyond(self) -> int:
        """Return how many rows break a rule or are missing: 0 where all is well."""
        return sum(self.at_fault) + max(0, self.suite.rows_at_least - self.rows)


def count(
    suites: Sequence[Suite], *, dsn: str | None, schemas: Sequence[str] = (), limits: Limits
) -> tuple[Counts, ...]:
    """Count for each suite that can be counted; one whose SQL fails is left out, and so is one of other rules.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    frames = [found for suite in suites if suite.frame is not None and (found := _of_frame(suite))]
    tables = [suite for suite in suites if suite.frame is None]
    if not tables or dsn is None:
        return tuple(frames)
    waiting = iter(tables)  # taken by whichever connection is free
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="gate") as pool:
        ways = [pool.submit(_of_tables, dsn, schemas, limits, waiting) for _ in range(CONNECTIONS)]
        return (*frames, *(found for way in ways for found in way.result()))


def _of_tables(dsn: str, schemas: Sequence[str], limits: Limits, waiting: Iterable[Suite]) -> list[Counts]:
    with connect(dsn, application="okr-gate", autocommit=True, limits=limits) as connection:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.SQL(", ").join(map(sql.Identifier, schemas))))
        return [found for suite in waiting if (found := _of_table(connection, suite))]


def _of_table(connection: Any, suite: Suite) -> Counts | None:
    if any(rule.type != "unexpected_rows_expectation" for rule in suite.rules):
        return None
    table = sql.Identifier(suite.table)
    asked = [sql.SQL("(SELECT count(*) FROM {})").format(table)]
    for number, rule in enumerate(suite.rules):
        query = rule.arguments["unexpected_rows_query"].replace("{batch}", table.as_string(connection))
        part = sql.SQL("(SELECT count(*) FROM ({}\n) AS {})")
        asked.append(part.format(sql.SQL(query), sql.Identifier(f"rule_{number}")))
    try:
        rows, *at_fault = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(asked))).fetchone()
    except psycopg.Error:
        return None  # the tool asks rule by rule, and says which one fails
    return Counts(suite, rows, tuple(at_fault))


def _of_frame(suite: Suite) -> Counts | None:
    found = [_in_frame(suite.frame, rule) for rule in suite.rules]
    at_fault = tuple(each for each in found if each is not None)
    return Counts(suite, len(suite.frame), at_fault) if len(at_fault) == len(found) else None


def _in_frame(frame: "pd.DataFrame", rule: Rule) -> int | None:
    """Return how many rows break a rule; None where that cannot be told here, and the tool is to say why."""
    column, low, high = (rule.arguments.get(name) for name in ("column", "min_value", "max_value"))
    if column not in frame.columns:
        return None
    values = frame[column].dropna()  # a rule asks nothing of what is null
    if rule.type == "expect_column_values_to_be_null":
        return len(values)
    if rule.type != "expect_column_values_to_be_between":
        return None
    try:
        below = 0 if low is None else int((~(values >= low)).sum())
        above = 0 if high is None else int((~(values <= high)).sum())
    except TypeError:  # values that cannot be compared
        return None
    return below + above
