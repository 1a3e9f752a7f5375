"""The answers of POST /predict, prepared in memory: per key result, the JSON around its prediction's id, and its event.

The regular route makes both, once per key result, publication and model, so an answer from here has the same form.
"""

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import NamedTuple

from ingestion.contract_validation import EncodedEvent
from serving.observability.bulk_histogram import Labels
from serving.prediction_log import EventTemplate, template_of

LIST = b'"predictions":['
END = b"]}"
MOST_AT_ONCE = 50  # preparing an answer takes much longer than using it, and happens on the event loop


class Served(NamedTuple):
    """The body of a response, and the probabilities in it, by their metric's labels."""

    content: bytes
    probabilities: list[tuple[Labels, float]]


class Answered(NamedTuple):
    """What the regular route answers to a request for one key result, the event that it records, and its metric."""

    body: bytes
    prediction_id: str
    event: EncodedEvent
    labels: Labels
    probability: float


@dataclass(frozen=True, slots=True)
class PreparedAnswer:
    """The JSON of one prediction before and after its id, and the template of its event."""

    before: bytes
    after: bytes
    event: EventTemplate
    labels: Labels
    probability: float


class PreparedAnswers:
    """The answers of one publication and model. Each call prepares at most MOST_AT_ONCE that are missing."""

    def __init__(self, answer: Callable[[str], Answered | None]) -> None:
        """Use `answer`, which returns None for a key result without a forecast and must not block."""
        self.head = b""
        """The JSON of the whole response before its predictions."""
        self._answer = answer
        self._prepared: dict[str, PreparedAnswer] = {}

    def of(self, key_result_ids: list[str]) -> list[PreparedAnswer] | None:
        """Return the answers for key results, or None if one of them has no forecast or too many were not prepared."""
        known = self._prepared
        try:
            return [known[each] for each in key_result_ids]
        except KeyError:
            return self._prepare(key_result_ids)

    def _prepare(self, key_result_ids: list[str]) -> list[PreparedAnswer] | None:
        missing = [each for each in key_result_ids if each not in self._prepared]
        for each in missing[:MOST_AT_ONCE]:
            answered = Context().run(self._answer, each)  # the event must not have the id of the current request
            if answered is None:
                return None
            self._prepared[each] = self._split(answered)
        return None if len(missing) > MOST_AT_ONCE else [self._prepared[each] for each in key_result_ids]

    def _split(self, answered: Answered) -> PreparedAnswer:
        head, found, rest = answered.body.partition(LIST)
        before, _, after = rest.removesuffix(END).partition(answered.prediction_id.encode())
        self.head = head + found
        template = template_of(answered.event, answered.prediction_id)
        return PreparedAnswer(before, after, template, answered.labels, answered.probability)
