"""The summary of a demo with known results."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.demo import summary
from infra.demo.progress import Progress
from infra.demo.source import Source
from infra.demo.steps import DemoResult


def summary_of(**found: Any) -> str:
    """Return the summary of a demo whose steps had these results."""
    console = Console(file=io.StringIO(), width=200)
    known: dict[str, Any] = {
        "publication": {"publication_id": 1, "rows": {}, "data_as_of": datetime(2026, 1, 1, tzinfo=UTC)},
        "models": {"active": {"name": "prior", "version": None}, "versions": [], "detail": None},
        "latencies_s": [1.0],
    }
    result = DemoResult(Path("state"), Source(None, "small"), Path("log"), **(known | found))
    summary.show(console, result, Progress(console), 60.0)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_key_results_most_at_risk_come_first_and_only_long_titles_are_shortened() -> None:
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
    lines = [line.strip() for line in summary_of(titles=titles, predictions=predictions).splitlines()]
    at_risk = [line.partition("]  ")[2] for line in lines if line.startswith("P ")]
    assert at_risk == ["Ship it", "t" * 90, "u" * 89 + "…"]
    assert ("as a" in lines, "as d" in lines, "!" in lines) == (True, False, False)


def test_gate_results_are_shown_and_without_an_open_key_result_there_is_no_forecast() -> None:
    counts = {"checked_rows": 1000, "expectations": 2, "failed": 0}
    gates = [{"gate": "raw", "passed": True, **counts}, {"gate": "marts", "passed": False, **counts}]
    text = summary_of(gates=gates)
    words = [line.split() for line in text.splitlines()]
    assert ["raw", "│", "1,000", "│", "2", "│", "0", "│", "passed"] in words
    assert ["marts", "│", "1,000", "│", "2", "│", "0", "│", "FAILED"] in words
    assert "there is no forecast" in text
