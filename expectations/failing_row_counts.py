"""Count the rows that break each rule of a suite, with one query per table.

Great Expectations evaluates one rule at a time, and its overhead takes longer than the queries. Because rules rarely
fail, the gate first lets it validate these counts and runs it on a whole suite only if that suite has failing rows.
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

PARALLEL_CONNECTIONS = 2


@dataclass(frozen=True)
class Counts:
    """How many rows a suite's table has, and how many of them break each rule, in the order of the rules."""

    suite: Suite
    rows: int
    failing: tuple[int, ...]

    def failing_or_missing(self) -> int:
        """Return the number of failing and missing rows; 0 if the suite passes."""
        return sum(self.failing) + max(0, self.suite.rows_at_least - self.rows)


def count(
    suites: Sequence[Suite], *, dsn: str | None, schemas: Sequence[str] = (), limits: Limits
) -> tuple[Counts, ...]:
    """Count failing rows. Suites whose SQL fails or whose rules cannot be evaluated by counting are omitted.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    frame_counts = [found for suite in suites if suite.frame is not None and (found := _count_in_frame(suite))]
    table_suites = [suite for suite in suites if suite.frame is None]
    if not table_suites or dsn is None:
        return tuple(frame_counts)
    remaining = iter(table_suites)  # each connection takes the next suite from it when it is idle
    with ThreadPoolExecutor(PARALLEL_CONNECTIONS, thread_name_prefix="gate") as pool:
        results = [pool.submit(_count_in_tables, dsn, schemas, limits, remaining) for _ in range(PARALLEL_CONNECTIONS)]
        return (*frame_counts, *(found for each in results for found in each.result()))


def _count_in_tables(dsn: str, schemas: Sequence[str], limits: Limits, remaining: Iterable[Suite]) -> list[Counts]:
    with connect(dsn, application="okr-gate", autocommit=True, limits=limits) as connection:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.SQL(", ").join(map(sql.Identifier, schemas))))
        return [found for suite in remaining if (found := _count_in_table(connection, suite))]


def _count_in_table(connection: Any, suite: Suite) -> Counts | None:
    if any(rule.type != "unexpected_rows_expectation" for rule in suite.rules):
        return None
    table = sql.Identifier(suite.table)
    queries = [sql.SQL("(SELECT count(*) FROM {})").format(table)]
    for number, rule in enumerate(suite.rules):
        query = rule.arguments["unexpected_rows_query"].replace("{batch}", table.as_string(connection))
        part = sql.SQL("(SELECT count(*) FROM ({}\n) AS {})")
        queries.append(part.format(sql.SQL(query), sql.Identifier(f"rule_{number}")))
    try:
        rows, *failing = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(queries))).fetchone()
    except psycopg.Error:
        return None  # Great Expectations then runs the rules one by one and reports the failing one
    return Counts(suite, rows, tuple(failing))


def _count_in_frame(suite: Suite) -> Counts | None:
    found = [_failing_rows_in_frame(suite.frame, rule) for rule in suite.rules]
    failing = tuple(each for each in found if each is not None)
    return Counts(suite, len(suite.frame), failing) if len(failing) == len(found) else None


def _failing_rows_in_frame(frame: "pd.DataFrame", rule: Rule) -> int | None:
    """Return the number of rows that break a rule, or None if Great Expectations has to evaluate it."""
    column, low, high = (rule.arguments.get(name) for name in ("column", "min_value", "max_value"))
    if column not in frame.columns:
        return None
    values = frame[column].dropna()  # rules ignore nulls
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
