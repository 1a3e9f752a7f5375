"""What a gate found: how much it checked, which rules broke, in words and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class RuleResult:
    """One rule's outcome. `unexpected` counts the rows at fault, `examples` shows the first few."""

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
        """Whether the rule held for the batch, but not for each of its rows."""
        return self.passed and self.acceptable and bool(self.unexpected)

    def __str__(self) -> str:
        """Return the line that a log shows for a broken rule."""
        if self.error:
            return f"{self.name}: could not be checked: {self.error}"
        count = "" if self.unexpected is None else f"; {self.unexpected} at fault"
        shown = f", e.g. {'; '.join(self.examples)}" if self.examples else ""
        return f"{self.name}: expected that {self.says}{count}{shown}"


@dataclass(frozen=True)
class SuiteResult:
    """One suite's outcome: `rows` is how many rows stood before it."""

    noun: str
    table: str
    rows: int
    rules: tuple[RuleResult, ...]


@dataclass(frozen=True)
class GateReport:
    """One judgement. `accepted`: an operator let plausibility rules pass; `nothing_to_validate`: no row waited."""

    gate: str
    run_id: str
    judged_at: datetime
    suites: tuple[SuiteResult, ...]
    accepted: bool = False
    nothing_to_validate: bool = False

    @property
    def checked_rows(self) -> int:
        """Rows that stood before the suites, all tables together."""
        return sum(suite.rows for suite in self.suites)

    @property
    def expectations(self) -> int:
        """Rules that were judged."""
        return sum(len(suite.rules) for suite in self.suites)

    def broken(self) -> Iterator[tuple[SuiteResult, RuleResult]]:
        """Rules that broke, with their suite; advice is not among them."""
        return ((s, r) for s in self.suites for r in s.rules if not r.passed and not r.advice)

    def advice(self) -> Iterator[tuple[SuiteResult, RuleResult]]:
        """Rules of advice that broke: worth reading, never a reason to stop."""
        return ((s, r) for s in self.suites for r in s.rules if not r.passed and r.advice)

    def flagged(self) -> Iterator[tuple[SuiteResult, RuleResult]]:
        """Rules of plausibility that single rows broke: these rows are loaded all the same, and listed for review."""
        return ((s, r) for s in self.suites for r in s.rules if r.is_flagged)

    @property
    def failed(self) -> int:
        """How many rules broke."""
        return sum(1 for _ in self.broken())

    @property
    def passed(self) -> bool:
        """True when something was checked and every rule held, or those that did not were accepted."""
        if self.nothing_to_validate:
            return True
        stopping = [rule for _, rule in self.broken() if not (self.accepted and rule.acceptable and not rule.error)]
        return self.checked_rows > 0 and self.expectations > 0 and not stopping

    def summary(self) -> str:
        """One paragraph for logs and terminals."""
        if self.nothing_to_validate:
            return f"gate {self.gate}: no row waits, nothing to judge."
        verdict = "passed" if self.passed else "FAILED"
        if self.passed and self.failed:
            verdict = "passed because an operator accepted it"
        head = (
            f"gate {self.gate}: {verdict}. Checked {self.checked_rows} rows by {self.expectations} expectations "
            f"in {len(self.suites)} suites, {self.failed} failed."
        )
        if not self.checked_rows:
            head += " It checked nothing, and a gate that checks nothing does not pass."
        lines = [f"  {suite.noun}: {rule}" for suite, rule in self.broken()]
        lines += [f"  flagged for review, {suite.noun}: {rule}" for suite, rule in self.flagged()]
        lines += [f"  advice, {suite.noun}: {rule}" for suite, rule in self.advice()]
        return "\n".join([head, *lines])

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON holds it; `passed` is what `lakehouse.publication.publish` asks for."""
        return {
            "gate": self.gate,
            "run_id": self.run_id,
            "judged_at": self.judged_at.isoformat(),
            "passed": self.passed,
            "accepted": self.accepted,
            "nothing_to_validate": self.nothing_to_validate,
            "checked_rows": self.checked_rows,
            "expectations": self.expectations,
            "failed": self.failed,
            "suites": [asdict(suite) for suite in self.suites],
        }
