"""The result of a gate run, and the rule that decides whether it passes: `GateReport.passed`. Also as text and JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule: `unexpected` is the number of failing rows, `examples` contains the first few."""

    name: str
    says: str
    passed: bool
    unexpected: int | None = None
    examples: tuple[str, ...] = ()
    error: str | None = None
    acceptable: bool = False
    advice: bool = False

    @property
    def is_flagged(self) -> bool:
        """Whether individual rows break the rule although the batch as a whole passes it."""
        return self.passed and self.acceptable and bool(self.unexpected)

    def __str__(self) -> str:
        """Return the log line of a broken rule."""
        if self.error:
            return f"{self.name}: could not be checked: {self.error}"
        rows = "row fails" if self.unexpected == 1 else "rows fail"
        count = "" if self.unexpected is None else f"; {self.unexpected} {rows}"
        shown = f", e.g. {'; '.join(self.examples)}" if self.examples else ""
        return f"{self.name}: expected that {self.says}{count}{shown}"


@dataclass(frozen=True)
class SuiteResult:
    """The result of one suite; `rows` is the number of rows that it checked."""

    name: str
    table: str
    rows: int
    rules: tuple[RuleResult, ...]


@dataclass(frozen=True)
class GateReport:
    """The result of one gate run; `accepted` means that an operator has overridden plausibility rules."""

    gate: str
    run_id: str
    validated_at: datetime
    suites: tuple[SuiteResult, ...]
    accepted: bool = False
    nothing_to_validate: bool = False

    @property
    def checked_rows(self) -> int:
        """Return the number of checked rows in all suites."""
        return sum(suite.rows for suite in self.suites)

    @property
    def expectations(self) -> int:
        """Return the number of checked rules."""
        return sum(len(suite.rules) for suite in self.suites)

    def broken(self) -> Iterator[tuple[SuiteResult, RuleResult]]:
        """Return the broken rules with their suites, excluding advisory rules."""
        return ((s, r) for s in self.suites for r in s.rules if not r.passed and not r.advice)

    def advice(self) -> Iterator[tuple[SuiteResult, RuleResult]]:
        """Return the broken advisory rules, which never stop a run."""
        return ((s, r) for s in self.suites for r in s.rules if not r.passed and r.advice)

    def flagged(self) -> Iterator[tuple[SuiteResult, RuleResult]]:
        """Return the plausibility rules that only individual rows break. Those are loaded and listed for review."""
        return ((s, r) for s in self.suites for r in s.rules if r.is_flagged)

    @property
    def failed(self) -> int:
        """Return the number of broken rules."""
        return sum(1 for _ in self.broken())

    @property
    def passed(self) -> bool:
        """Whether rows were checked and every rule passed or was accepted."""
        if self.nothing_to_validate:
            return True
        stopping = [rule for _, rule in self.broken() if not (self.accepted and rule.acceptable and not rule.error)]
        return self.checked_rows > 0 and self.expectations > 0 and not stopping

    def summary(self) -> str:
        """Return the report as text for logs and terminals."""
        if self.nothing_to_validate:
            return f"gate {self.gate}: no rows are waiting, so there is nothing to validate."
        result = "passed" if self.passed else "FAILED"
        if self.passed and self.failed:
            result = "passed because an operator accepted it"
        head = (
            f"gate {self.gate}: {result}. Checked {self.checked_rows:,} rows against {self.expectations} expectations; "
            f"{self.failed} failed."
        )
        if not self.checked_rows:
            head += " It checked no rows, and a gate that checks no rows does not pass."
        lines = [f"  {suite.name}: {rule}" for suite, rule in self.broken()]
        lines += [f"  flagged for review, {suite.name}: {rule}" for suite, rule in self.flagged()]
        lines += [f"  advice, {suite.name}: {rule}" for suite, rule in self.advice()]
        return "\n".join([head, *lines])

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON. `lakehouse.publishing.publication.publish` reads `passed` from it."""
        return {
            "gate": self.gate,
            "run_id": self.run_id,
            "validated_at": self.validated_at.isoformat(),
            "passed": self.passed,
            "accepted": self.accepted,
            "nothing_to_validate": self.nothing_to_validate,
            "checked_rows": self.checked_rows,
            "expectations": self.expectations,
            "failed": self.failed,
            "suites": [_stored(suite) for suite in self.suites],
        }


def _stored(suite: SuiteResult) -> dict[str, Any]:
    """Return a suite's result with its name under `noun`, the name that the view ops.publication_hold reads."""
    fields = asdict(suite)
    return {"noun": fields.pop("name"), **fields}
