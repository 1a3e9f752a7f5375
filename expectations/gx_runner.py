"""Run suites with Great Expectations. No other module imports this library.

Importing the library takes 6-8 s, so it is imported inside functions to keep `okr --help` and the parsing of DAG files
fast. Validating a suite takes about 0.1 s, so suites without failing rows are validated together by their counts
(`failing_row_counts`).
"""

import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from expectations.failing_row_counts import Counts, count
from expectations.gate_decision import GateReport, RuleResult, SuiteResult
from expectations.rules import Rule, Suite
from expectations.warehouse_snapshot import use_snapshot
from lakehouse.connection_limits import Limits
from lakehouse.logs import get_logger
from lakehouse.number_format import plain
from lakehouse.warehouse import connect, set_response_timeout, sqlalchemy_url

EXAMPLES_SHOWN = 3
LIMITS = Limits(statement_s=120, lock_s=60)
SITE_NAME = "quality"
NO_FAILING_ROW = Rule(
    "no_failing_row", "no row fails", "expect_column_values_to_be_between",
    {"column": "failing", "min_value": 0, "max_value": 0},
)  # fmt: skip


@dataclass(frozen=True)
class TableLocation:
    """The location of the suites' tables: a login and the schemas in which unqualified names are looked up.

    If `snapshot` names a snapshot, all queries read it; otherwise each query reads the current state.
    """

    dsn: str
    schemas: tuple[str, ...]
    snapshot: str | None = None

    def url(self) -> str:
        """Return the login as a SQLAlchemy URL."""
        path = f"-c search_path={','.join(self.schemas)}"
        return sqlalchemy_url(self.dsn, "okr-gate", limits=LIMITS, options=path)


def validate(  # noqa: PLR0913 -- three are keyword-only options
    gate: str,
    run_id: str,
    suites: Iterable[Suite],
    *,
    location: TableLocation | None = None,
    accepted: bool = False,
    site: Path | None = None,
) -> GateReport:
    """Run suites and return the report; if `site` is given, also write Data Docs into that folder.

    `accepted` means that an operator has accepted the batch or build: violated plausibility rules do not fail the gate.

    A rule that cannot be checked (because its table is missing or its SQL fails) counts as broken, so gates fail
    closed.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    all_suites, context = tuple(suites), _context(site)
    # Counts cannot be used for Data Docs (which need the result of every rule) or with a snapshot (which the counting
    # connections do not read).
    can_use_counts = site is None and (location is None or location.snapshot is None)
    passed = _validate_counts(context, _counts(all_suites, location)) if can_use_counts else {}
    with _sources(context, location if len(passed) < len(all_suites) else None) as sources:
        results = tuple(
            passed.get(suite.name) or _validate_suite(context, sources, gate, suite) for suite in all_suites
        )
        if site is not None:
            context.build_data_docs(site_names=[SITE_NAME])
    return GateReport(gate, run_id, datetime.now(UTC), results, accepted=accepted)


def warm_up() -> None:
    """Initialise the library by validating one row, so that processes that are forked later need not do so."""
    import pandas as pd
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # its progress bars use a thread, which would not survive a fork
    rule = Rule("is_null", "a row is null", "expect_column_values_to_be_null", {"column": "a"})
    # The row fails, so both the validation of counts and the validation of whole suites are initialised.
    validate("warm-up", "none", [Suite("row", "a row", (rule,), frame=pd.DataFrame({"a": [1.0]}))])


def _counts(suites: tuple[Suite, ...], location: TableLocation | None) -> tuple[Counts, ...]:
    dsn, schemas = (location.dsn, location.schemas) if location else (None, ())
    return count(suites, dsn=dsn, schemas=schemas, limits=LIMITS)


def _context(site: Path | None) -> Any:
    """Return an in-memory context."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # must be set before the context is created
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # Without this, the library logs hundreds of lines per gate.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    config = DataContextConfig(
        # By default, a site is created in a temporary folder, which a forked task would leave behind.
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    if site is not None:
        context.add_data_docs_site(SITE_NAME, _site_config(site))
    return context


@contextmanager
def _sources(context: Any, location: TableLocation | None) -> Iterator[dict[str, Any]]:
    """Provide the data sources that suites read from."""
    sources = {"frame": context.data_sources.add_pandas("waiting")}
    if location is None:
        yield sources
        return
    connect(location.dsn, application="okr-gate").close()  # raises if the server is unavailable
    warehouse = context.data_sources.add_postgres("warehouse", connection_string=location.url())
    # The first engine looks up tables; the second one runs the rules.
    engines = (warehouse.get_engine(), warehouse.get_execution_engine().engine)
    for engine in engines:
        set_response_timeout(engine, LIMITS.response_s)
        if location.snapshot is not None:
            use_snapshot(engine, location.snapshot)
    try:
        yield sources | {"table": warehouse}
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


def _validate_counts(context: Any, counts: Sequence[Counts]) -> dict[str, SuiteResult]:
    """Return the results of the suites that have no failing rows, keyed by the suite's name.

    The caller runs the other suites rule by rule.
    """
    if not counts:
        return {}
    import pandas as pd

    frame = pd.DataFrame({"failing": [each.failing_or_missing() for each in counts]})
    try:
        asset = context.data_sources.add_pandas("counts").add_dataframe_asset("counts")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
        validated = batch.validate(_expectation(NO_FAILING_ROW), result_format="COMPLETE")
        failing = set() if validated.success else set(validated.result["unexpected_index_list"])
    except Exception as error:  # the library may raise any exception
        get_logger(__name__).warning(
            "the counts could not be validated, so suites are run rule by rule", error=_first_line(error)
        )
        return {}
    return {each.suite.name: _passed_result(each) for number, each in enumerate(counts) if number not in failing}


def _passed_result(counts: Counts) -> SuiteResult:
    """Return the result of a suite without failing rows."""
    row_count_rule, *others = counts.suite.all_rules()
    results = [RuleResult(rule.name, rule.says, True, 0, (), None, rule.acceptable, rule.advice) for rule in others]
    return SuiteResult(
        counts.suite.name,
        counts.suite.table,
        counts.rows,
        (RuleResult(row_count_rule.name, row_count_rule.says, passed=True), *results),
    )


def _validate_suite(context: Any, sources: Mapping[str, Any], gate: str, suite: Suite) -> SuiteResult:
    rules = suite.all_rules()
    try:
        results = list(_run_validation(context, sources, f"{gate}.{suite.name}", suite, rules))
    except Exception as error:  # the rules were not checked, so the gate must fail
        cause = _first_line(error)
        broken = tuple(RuleResult(rule.name, rule.says, passed=False, error=cause) for rule in rules)
        return SuiteResult(suite.name, suite.table, 0, broken)
    by_name = {result.expectation_config.meta["rule"]: result for result in results}
    rows = by_name["has_rows"].result.get("observed_value") or 0
    return SuiteResult(suite.name, suite.table, rows, tuple(_rule_result(rule, by_name[rule.name]) for rule in rules))


def _run_validation(context: Any, sources: Mapping[str, Any], name: str, suite: Suite, rules: tuple[Rule, ...]) -> Any:
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
    return tuple(example(row) for row in list(rows)[:EXAMPLES_SHOWN])


def example(row: Any) -> str:
    """Return a failing row as text for a log."""
    if isinstance(row, Mapping):
        return ", ".join(f"{name}={_as_text(value)}" for name, value in row.items())
    return _as_text(row)


def _as_text(value: Any) -> str:
    """Return a value as text, without exponents."""
    text = str(value)
    return plain(value) if isinstance(value, float) and math.isfinite(value) and "e" in text else text


def _exception(info: Mapping[str, Any]) -> str | None:
    """Return the error that prevented a rule from being checked. The library may nest it below the name of a metric."""
    nested = [info, *(part for part in info.values() if isinstance(part, Mapping))]
    messages = [part["exception_message"] for part in nested if part.get("raised_exception")]
    return _first_line(messages[0]) if messages else None


def _first_line(error: object) -> str:
    return str(error).strip().split("\n")[0][:300] or type(error).__name__
