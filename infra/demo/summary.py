"""Print the summary of a demo: event counts, rows per mart, gate results, forecasts, time and memory."""

from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.demo.progress import Progress
from infra.demo.steps import DemoResult
from lakehouse.achieved_score import ACHIEVED_SCORE
from lakehouse.number_format import chance, score

LEAST_LIKELY_SHOWN = 3
LEDGER_COLUMNS = ("produced", "landed", "rejected", "loaded", "waiting", "distinct_events", "duplicates")
GATE_NAMES = {"published": "published (daily check)"}
LATENCY_LIMITS_S = {"median": 60, "maximum": 90}  # seconds from posting a check-in to the published mart


def show(console: Console, result: DemoResult, progress: Progress, seconds: float) -> None:
    """Print the summary of a demo in which all steps succeeded."""
    console.print()
    _events(console, result)
    _marts(console, result)
    _quality(console, result)
    _model(console, result)
    _least_likely(console, result)
    _time_and_memory(console, result, progress, seconds)


def _table(console: Console, title: str, *columns: str) -> Table:
    console.print(f"[bold]{title}[/bold]", highlight=False)  # a table's own title would wrap at its width
    table = Table(show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _events(console: Console, result: DemoResult) -> None:
    table = _table(
        console,
        "Events, from the broker to the warehouse",
        "topic",
        *(name.removesuffix("_events") for name in LEDGER_COLUMNS),
    )
    for topic, counts_by_stage in result.ledger.items():
        table.add_row(
            topic,
            *(f"{counts_by_stage[name]:,}" if counts_by_stage[name] is not None else "?" for name in LEDGER_COLUMNS),
        )
    console.print(table)
    console.print("landed = rejected + loaded + waiting, loaded = distinct + duplicates; checked by `okr lake verify`.")
    rows = result.produced.get("rows", {})
    for file, counts in rows.items():
        console.print(
            f"{file}: {counts['read']:,} rows read = {counts['used']:,} used + {counts['rejected']:,} rejected."
        )
    for row in result.produced.get("rejected_first", []):
        line = f"  {row['file']}, line {row['line']}: {row['reason']}: {row['message']}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if result.produced.get("rejected_by_reason"):
        console.print(f"All rejected rows are in {result.produced['rejected_rows_file']}.", soft_wrap=True)
    console.print()


def _marts(console: Console, result: DemoResult) -> None:
    table = _table(console, f"Publication {result.publication['publication_id']}: rows per mart", "mart", "rows")
    for mart, count in sorted(result.publication["rows"].items()):
        table.add_row(mart, f"{count:,}")
    console.print(table)
    console.print(f"data as of {result.publication['data_as_of']:%Y-%m-%d %H:%M:%S} UTC\n")


def _quality(console: Console, result: DemoResult) -> None:
    table = _table(
        console, "Quality gates and daily check (Great Expectations)", "gate", "rows", "expectations", "failed", ""
    )
    for gate in result.gates:
        name = GATE_NAMES.get(gate["gate"], gate["gate"])
        outcome = "passed" if gate["passed"] else "FAILED"
        counts = (gate["checked_rows"], gate["expectations"], gate["failed"])
        table.add_row(name, *(f"{count:,}" for count in counts), outcome)
    console.print(table)
    console.print(f"dbt: {', '.join(f'{count} {what}' for what, count in result.dbt.items())}.\n")


def _model(console: Console, result: DemoResult) -> None:
    serving = result.models["active"]
    version = next((each for each in result.models["versions"] if each["version"] == serving["version"]), None)
    if version is None:
        console.print(f"Forecasts are served by the {serving['name']}. {result.models['detail'] or ''}")
        if result.no_backtest_reason:
            console.print(f"No backtest: {result.no_backtest_reason}", highlight=False, soft_wrap=True)
        console.print()
        return
    table = _table(
        console,
        f"{serving['name']} version {serving['version']}, evaluated on the held-out cycle",
        "measure",
        "model",
        "pacing rule",
    )
    for measure in ("brier", "log_loss", "auc"):
        values = [version["metrics"].get(f"{side}_{measure}") for side in ("model", "pacing_rule")]
        if values[0] is not None:
            table.add_row(measure, *(f"{value:.4f}" if value is not None else "" for value in values))
    console.print(table)
    console.print()


def _least_likely(console: Console, result: DemoResult) -> None:
    if not result.predictions:
        console.print("No key result is open, so there is no forecast.\n")
        return
    scope = "" if result.has_open_key_result else ", in the cycle that ended last, as of its last check-ins"
    console.print(
        f"[bold]Least likely to be achieved{scope}[/bold] (P = probability of a final score of at least "
        f"{ACHIEVED_SCORE}; [90 % interval of the score])"
    )
    for each in sorted(result.predictions, key=lambda each: float(each["probability"]))[:LEAST_LIKELY_SHOWN]:
        title = escape(_shortened(result.titles[each["key_result_id"]]))
        console.print(
            f"  P {chance(each['probability'])}  [{score(each['low'])}, {score(each['high'])}]  {title}",
            highlight=False,
        )
        for reason in each["reasons"][:2]:
            console.print(f"      {escape(reason)}", highlight=False)
    console.print()


def _shortened(title: str, limit: int = 90) -> str:
    return title if len(title) <= limit else title[: limit - 1] + "…"


def _time_and_memory(console: Console, result: DemoResult, progress: Progress, seconds: float) -> None:
    table = _table(console, "Time and memory", "step", "seconds")
    for step in progress.steps:
        table.add_row(step.title, f"{step.seconds:.1f}")
    table.add_row("total", f"{seconds:.1f}")
    console.print(table)
    console.print(f"Peak memory of the whole stack: {result.peak_bytes / 2**30:.2f} GiB (PSS)")
    if result.latencies_s:
        typical, longest = median(result.latencies_s), max(result.latencies_s)
        console.print(
            f"From posting a check-in to the published mart ({len(result.latencies_s)} check-ins): "
            f"median {typical:.0f} s (limit {LATENCY_LIMITS_S['median']} s), "
            f"maximum {longest:.0f} s (limit {LATENCY_LIMITS_S['maximum']} s)."
        )
    console.print()
