"""What the demo tells at its end, of a run whose figures are known."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.demo import summary
from infra.demo.progress import Progress
from infra.demo.source import Source
from infra.demo.steps import DemoResult


def told(**found: Any) -> str:
    """The summary of a result in which the steps found this."""
    console = Console(file=io.StringIO(), width=200)
    known: dict[str, Any] = {
        "publication": {"publication_id": 1, "rows": {}, "data_as_of": datetime(2026, 1, 1, tzinfo=UTC)},
        "models": {"answering": {"name": "pacing_rule", "version": None}, "versions": [], "detail": None},
        "latencies_s": [1.0],
    }
    result = DemoResult(Path("state"), Source(None, "small"), Path("log"), **(known | found))
    summary.show(console, result, Progress(console), 60.0)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_likeliest_to_miss_are_told_first_and_only_a_long_title_is_cut() -> None:
    titles = {"a": "Ship it", "b": "t" * 90, "c": "u" * 91, "d": "Keep it"}
    predictions = [
        {
            "key_result_id": key,
            "probability": probability,
            "low": 0.1,
            "high": 0.6,
            "reasons": [f"as {key}", "", "!"],
        }
        for key, probability in (("d", 0.9), ("c", 0.5), ("b", 0.25), ("a", 0.125))
    ]
    lines = [line.strip() for line in told(titles=titles, predictions=predictions).splitlines()]
    at_risk = [line.partition("]  ")[2] for line in lines if line.startswith("P ")]
    assert at_risk == ["Ship it", "t" * 90, "u" * 89 + "…"]
    assert ("as a" in lines, "as d" in lines, "!" in lines) == (True, False, False)


def test_each_gate_says_whether_it_passed_and_without_an_open_key_result_nothing_is_forecast() -> None:
    counts = {"checked_rows": 1000, "expectations": 2, "failed": 0}
    gates = [{"gate": "raw", "passed": True, **counts}, {"gate": "marts", "passed": False, **counts}]
    text = told(gates=gates)
    words = [line.split() for line in text.splitlines()]
    assert ["raw", "│", "1,000", "│", "2", "│", "0", "│", "passed"] in words
    assert ["marts", "│", "1,000", "│", "2", "│", "0", "│", "FAILED"] in words
    assert "there is no forecast" in text
