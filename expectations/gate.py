"""The one module that knows Great Expectations: it turns suites (plain data) into judgements.

Importing the tool takes 6-8 s, a suite about 0.05 s: all suites of a gate run in one process, and the tool is imported
inside the functions, so that `okr --help` and DAG files do not pay for it.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from expectations.report import GateReport, RuleResult, SuiteResult
from expectations.rules import Rule, Suite
from expectations.snapshot import read_at
from lakehouse.warehouse import Limits, connect, limit_answers, sqlalchemy_url

EXAMPLES_SHOWN = 3
LIMITS = Limits(statement_s=120, lock_s=60)
SITE = "quality"
COUNTED = "counted_rows_expectation"


@dataclass(frozen=True)
class Place:
    """Where suites find their tables: a login, and the schemas in which unqualified names are looked up.

    With the name of a `snapshot` they read that, else what is there when each statement begins.
    """

    dsn: str
    schemas: tuple[str, ...]
    snapshot: str | None = None

    def url(self) -> str:
        """Return the login as SQLAlchemy reads it."""
        path = f"-c search_path={','.join(self.schemas)}"
        return sqlalchemy_url(self.dsn, "okr-gate", limits=LIMITS, options=path)


def judge(  # noqa: PLR0913 -- what, for whom, and three options by name
    gate: str,
    run_id: str,
    suites: Iterable[Suite],
    *,
    place: Place | None = None,
    accepted: bool = False,
    site: Path | None = None,
) -> GateReport:
    """Run suites and return what they found; with `site`, also write it as Data Docs into that folder.

    A rule that cannot be judged (a table is missing, its SQL fails) counts as broken: a gate fails closed.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with _context(place, site) as (context, sources):
        with_rows = site is not None
        results = tuple(_judge_suite(context, sources, gate, suite, with_rows=with_rows) for suite in suites)
        if site is not None:
            context.build_data_docs(site_names=[SITE])
    return GateReport(gate, run_id, datetime.now(UTC), results, accepted=accepted)


@contextmanager
def _context(place: Place | None, site: Path | None) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Give a context that lives in memory, with the sources that suites read from."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the context is made: no gate reports to anybody
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # hundreds of lines a gate on its inner life
    config = DataContextConfig(
        # Without a site of the tool's own, in a temporary folder that a forked task would leave behind.
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    if site is not None:
        context.add_data_docs_site(SITE, _site_config(site))
    sources = {"frame": context.data_sources.add_pandas("waiting")}
    if place is None:
        yield context, sources
        return
    connect(place.dsn, application="okr-gate").close()  # a server that is away is told as such, not as a broken rule
    warehouse = context.data_sources.add_postgres("warehouse", connection_string=place.url())
    # One looks for tables, the other runs the rules.
    engines = (warehouse.get_engine(), warehouse.get_execution_engine().engine)
    for engine in engines:
        limit_answers(engine, LIMITS)
        if place.snapshot is not None:
            read_at(engine, place.snapshot)
    try:
        yield context, sources | {"table": warehouse}
    finally:
        for engine in engines:
            engine.dispose()


def _site_config(folder: Path) -> dict[str, Any]:
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    return {
        "class_name": "SiteBuilder",
        "store_backend": store,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "show_how_to_buttons": False,
    }


def _judge_suite(context: Any, sources: Mapping[str, Any], gate: str, suite: Suite, *, with_rows: bool) -> SuiteResult:
    """Judge a suite; `with_rows` asks for the rows at fault even where there are none, as Data Docs want it."""
    rules = suite.every_rule()
    name = f"{gate}.{suite.noun}"
    asked = rules if with_rows else _counted(rules)
    try:
        results = list(_validate(context, sources, name, suite, asked))
        failed = {result.expectation_config.meta["rule"] for result in results if not result.success}
        pairs = zip(rules, asked, strict=True)
        again = tuple(rule for rule, counted in pairs if counted != rule and rule.name in failed)
        if again:
            names = {rule.name for rule in again}
            results = [result for result in results if result.expectation_config.meta["rule"] not in names]
            results += _validate(context, sources, f"{name} examples", suite, again)
    except Exception as error:  # whatever the tool raises, the rules were not judged: fail closed
        cause = _first_line(error)
        broken = tuple(RuleResult(rule.name, rule.says, passed=False, error=cause) for rule in rules)
        return SuiteResult(suite.noun, suite.table, 0, broken)
    by_name = {result.expectation_config.meta["rule"]: result for result in results}
    rows = by_name["has_rows"].result.get("observed_value") or 0
    return SuiteResult(suite.noun, suite.table, rows, tuple(_rule_result(rule, by_name[rule.name]) for rule in rules))


def _counted(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return the rules so that they only count the rows at fault, of which there are nearly always none.

    The tool runs a query twice, for the rows and for their number; what fails is asked again for examples.
    """
    _register_counted()
    return tuple(replace(rule, type=COUNTED) if rule.type == "unexpected_rows_expectation" else rule for rule in rules)


@cache
def _register_counted() -> None:
    from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation

    class CountedRowsExpectation(UnexpectedRowsExpectation):  # type: ignore[misc]  # registers itself by its name
        metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.row_count",)

        def _validate(self, metrics: Mapping[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
            count = metrics["unexpected_rows_query.row_count"]
            return {"success": count == 0, "result": {"observed_value": count}}


def _validate(context: Any, sources: Mapping[str, Any], name: str, suite: Suite, rules: tuple[Rule, ...]) -> Any:
    import great_expectations as gx

    if suite.frame is None:
        asset = sources["table"].add_table_asset(name.partition(".")[2], table_name=suite.table)
        batch, parameters = asset.add_batch_definition_whole_table("all"), None
    else:
        asset = sources["frame"].add_dataframe_asset(name.partition(".")[2])
        batch, parameters = asset.add_batch_definition_whole_dataframe("all"), {"dataframe": suite.frame}
    checks = gx.ExpectationSuite(name=name, expectations=[_expectation(rule) for rule in rules])
    definition = gx.ValidationDefinition(name=name, data=batch, suite=context.suites.add(checks))
    validation = context.validation_definitions.add(definition)
    return validation.run(batch_parameters=parameters, result_format={"result_format": "COMPLETE"}).results


def _expectation(rule: Rule) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    return ExpectationConfiguration(
        type=rule.type,
        kwargs=dict(rule.arguments),
        meta={"rule": rule.name},
        description=rule.says,
        severity="warning" if rule.acceptable or rule.advice else "critical",
    ).to_domain_obj()


def _rule_result(rule: Rule, result: Any) -> RuleResult:
    found = result.result
    error = _exception(result.exception_info) if not result.success else None
    unexpected = found.get("unexpected_count")
    if unexpected is None and rule.type == "unexpected_rows_expectation":
        unexpected = found.get("observed_value")
    return RuleResult(
        rule.name, rule.says, bool(result.success), unexpected, _examples(found), error, rule.acceptable, rule.advice
    )


def _examples(found: Mapping[str, Any]) -> tuple[str, ...]:
    rows = found.get("details", {}).get("unexpected_rows") or found.get("partial_unexpected_list") or []
    return tuple(_example(row) for row in list(rows)[:EXAMPLES_SHOWN])


def _example(row: Any) -> str:
    if isinstance(row, Mapping):
        return ", ".join(f"{name}={value}" for name, value in row.items())
    return str(row)


def _exception(info: Mapping[str, Any]) -> str | None:
    """Return the exception that kept a rule from being judged; the tool nests it by metric, or not."""
    nested = [info, *(part for part in info.values() if isinstance(part, Mapping))]
    messages = [part["exception_message"] for part in nested if part.get("raised_exception")]
    return _first_line(messages[0]) if messages else None


def _first_line(error: object) -> str:
    return str(error).strip().split("\n")[0][:300] or type(error).__name__
