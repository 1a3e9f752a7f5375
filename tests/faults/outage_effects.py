"""How each kind of request must be answered during an outage of a dependency: the table in docs/serving.md, as data."""

from collections.abc import Callable
from dataclasses import dataclass

SETTLED_S = 2.0  # of the newest answers, which must show the final effect of an outage


@dataclass(frozen=True)
class Sample:
    """One answer: the kind of request, when it was sent and answered (monotonic), and what it said.

    `said` is the slug of a problem document, or the status of a probe; `status` is 0 if the connection was lost.
    """

    kind: str
    sent_at: float
    took_s: float
    status: int
    said: str = ""
    retry_after: str | None = None


Accepts = Callable[[Sample], bool]


@dataclass(frozen=True)
class Effect:
    """The documented effect, the answers that are accepted from the start, and those after the outage has settled."""

    text: str
    accepts: Accepts
    settled: Accepts


def _is_503(sample: Sample) -> bool:
    return (sample.status, sample.said) == (503, "unavailable") and sample.retry_after is not None


def _always(accepts: Accepts) -> Callable[[str], Effect]:
    return lambda text: Effect(text, accepts, accepts)


def _status(said: str, *statuses: int) -> Accepts:
    return lambda sample: sample.status in statuses and sample.said in {said, ""}


def _answers(sample: Sample) -> bool:
    return sample.status in {200, 202}


WORKS = _always(_answers)("works")
FROM_MEMORY = _always(_answers)("works, from memory")
UNAVAILABLE = _always(_is_503)("503 `unavailable`")
UNACKNOWLEDGED = Effect("works; `is_acknowledged` is false", _answers, _status("unacknowledged", 202))
WAITS_ON_DISK = _always(_answers)("works; the events wait on disk")
DEGRADED = Effect("200, `degraded`", _answers, _status("degraded", 200))
SOON_DEGRADED = _always(_answers)("200, `degraded` within 30 s")
HEALTH_UNAVAILABLE = _always(_status("unavailable", 503))("503, `unavailable`")

BY_ID, BY_FEATURES, LIST = "`POST /predict` by id", "`POST /predict` by features", "lists under `/v1`"
CHECK_IN, LOG_IN, PAGE = "`POST /v1/check-ins`", "`POST /auth/token` (password)", "page with a session"
MODELS, LIVEZ, READYZ = "`GET /models`", "`/livez`", "`/readyz`"
HEALTH, METRICS = "`/health`", "`/metrics`"
KINDS = (BY_ID, BY_FEATURES, LIST, CHECK_IN, LOG_IN, PAGE, MODELS, LIVEZ, READYZ, HEALTH, METRICS)

DEPENDENCIES = ("PostgreSQL", "Redis", "Kafka", "model registry")
_OF: dict[str, dict[str, Effect]] = {
    "PostgreSQL": {
        BY_ID: FROM_MEMORY,
        **dict.fromkeys((LIST, CHECK_IN, LOG_IN, PAGE, MODELS), UNAVAILABLE),
        HEALTH: HEALTH_UNAVAILABLE,
    },
    "Redis": {BY_ID: FROM_MEMORY, PAGE: UNAVAILABLE, HEALTH: DEGRADED},
    "Kafka": {BY_ID: WAITS_ON_DISK, BY_FEATURES: WAITS_ON_DISK, CHECK_IN: UNACKNOWLEDGED, HEALTH: DEGRADED},
    "model registry": {BY_ID: FROM_MEMORY, MODELS: UNAVAILABLE, HEALTH: SOON_DEGRADED},
}
# Seconds within which the answers of the other kinds come, and the first ones of these while the dependency is frozen.
PROMPT_S = 6.0
FIRST_S = {("PostgreSQL", kind): 20.0 for kind in (LIST, CHECK_IN, LOG_IN, PAGE, MODELS, HEALTH)} | {
    ("Kafka", CHECK_IN): 12.0,
    ("model registry", MODELS): 25.0,
}


def effect(dependency: str, kind: str) -> Effect:
    """Return the documented effect."""
    return _OF[dependency].get(kind, WORKS)


def limit_s(dependency: str, kind: str) -> float:
    """Return the longest time that an answer may take."""
    return FIRST_S.get((dependency, kind), PROMPT_S)


def table() -> str:
    """Return the table in Markdown."""
    lines = [f"| request | {' | '.join(DEPENDENCIES)} |", f"|---{'|---' * len(DEPENDENCIES)}|"]
    for kind in KINDS:
        lines.append(f"| {kind} | {' | '.join(effect(each, kind).text for each in DEPENDENCIES)} |")
    return "\n".join(lines)
