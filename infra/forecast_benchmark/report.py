"""benchmark.md: the scores of each forecaster by domain, and their means."""

from collections.abc import Mapping, Sequence

from infra.forecast_benchmark.forecasters import FORECASTERS
from infra.forecast_benchmark.scores import Score, mean_of

Scores = Mapping[str, Mapping[str, Score]]  # domain -> forecaster -> score

HEADER = ("domain", "forecast", "check-ins", "Brier", "log loss", "ECE", "coverage", "width")
MEAN = "mean"
INTRODUCTION = """# Forecast benchmark

Each cycle is forecast by a model trained only on earlier cycles of its folder. Lower is better for the Brier score, the
log loss and the calibration error (ECE). Coverage and width are those of the 90 % interval for the final score, on
check-ins with progress below 0.7 before the last day of the cycle.
"""


def markdown(last: Scores, every: Scores, remarks: Sequence[str]) -> str:
    """Return the text of benchmark.md."""
    parts = [INTRODUCTION, _section("The last two closed cycles", last), _section("All from the second on", every)]
    if remarks:
        parts.append("## Remarks\n\n" + "\n".join(f"- {remark}" for remark in remarks) + "\n")
    return "\n".join(parts)


def means(scores: Scores) -> dict[str, Score]:
    """Return the mean score of each forecaster over the domains that have scores."""
    domains = [of_domain for of_domain in scores.values() if of_domain]
    return {name: mean_of([of_domain[name] for of_domain in domains]) for name in FORECASTERS} if domains else {}


def cells(score: Score) -> tuple[str, ...]:
    """Return a score as the last six cells of a row."""
    interval = ("-" if value is None else f"{value:.3f}" for value in (score.coverage, score.width))
    return f"{score.rows:,}", f"{score.brier:.4f}", f"{score.log_loss:.4f}", f"{score.ece:.4f}", *interval


def _section(title: str, scores: Scores) -> str:
    rows = [
        (domain, name, *cells(score))
        for domain, of_domain in {**scores, MEAN: means(scores)}.items()
        for name, score in of_domain.items()
    ]
    lines = [HEADER, ("---", "---", *["---:"] * (len(HEADER) - 2)), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {title}\n\n{table if rows else 'No cycle has outcomes.'}\n"
