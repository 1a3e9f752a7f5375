"""Answer POST /predict for one row of named features, with the version's function for single rows.

The regular route answers the first request of each version. Its response and its event are then the templates of
all others, which differ only in ids, times, outputs and reasons.
"""

import time
from collections.abc import Mapping
from contextvars import Context
from typing import Any, NamedTuple

import msgspec

from serving.experiments.versions_of_arms import Assigned
from serving.fast_path.event_ids import EventIds
from serving.fast_path.prepared_answers import END, LIST, Served
from serving.http.request_context import RequestIds, attributes_of
from serving.models.catalog import DEFAULT_MODEL
from serving.models.features import check_output
from serving.models.loaded_version import LoadedVersion
from serving.models.runtime import ModelRuntime
from serving.models.served_model import Scored, ScoreOne
from serving.models.serving_state import ServingState
from serving.observability.bulk_histogram import BulkHistogram
from serving.prediction_log import EventTemplate, PredictionLog, attributes_text, template_of_features
from serving.prediction_log.event_template import id_text
from serving.prediction_log.segment_file import MAX_OUTPUT_BYTES
from serving.predictor.prediction import of_features, served_event
from serving.predictor.responses import TOP_LEVEL_FIELDS, response_of
from serving.predictor.routes import NO_PUBLICATION
from serving.predictor.service import Predicted

OTHER_FIELDS = ("prediction_id", "reasons", "contributions", "margin")  # which differ from answer to answer


class FastVersion:
    """A version that predicts for single rows, and how its requests, responses and events look."""

    def __init__(self, version: LoadedVersion, score: ScoreOne) -> None:
        self.version = version
        self.score = score
        row, names = _exact_row(version.model.input)
        fields: list[Any] = [("features", row), ("reasons", bool | msgspec.UnsetType, msgspec.UNSET)]
        body = msgspec.defstruct("FastBody", fields, forbid_unknown_fields=True)
        self.decode = msgspec.json.Decoder(body).decode
        self.quotes = 2 * (len(names) + 1)
        known = version.model.output
        exact = msgspec.defstruct("ExactOutput", (), bases=(known,), forbid_unknown_fields=True)
        self._decode_output = msgspec.json.Decoder(exact).decode
        self._fields = frozenset(known.__struct_fields__)
        self._is_all_lifted = self._fields <= TOP_LEVEL_FIELDS
        self._start = b""
        """The JSON of the response up to the output's first field."""
        self.template: EventTemplate

    def encoded_output(self, output: Mapping[str, Any]) -> bytes | None:
        """Return an output as JSON, or None if it is incomplete, invalid or too long for the prediction log."""
        encoded = msgspec.json.encode(output)
        if len(encoded) > MAX_OUTPUT_BYTES or len(output) != len(self._fields):
            return None
        if b"null" in encoded and check_output(output, self.version.model.output):  # for example, NaN becomes null
            return None
        try:
            self._decode_output(encoded)
        except msgspec.ValidationError:
            return None
        return encoded

    def response(self, scored: Scored, output: bytes, prediction_id: str) -> bytes:
        """Return the body of the response. `output` is the encoded output."""
        if not self._start:
            Context().run(self._learn, scored)  # without the ids of the current request
        rest: dict[str, Any] = {
            "prediction_id": prediction_id,
            "reasons": scored.reasons,
            "contributions": scored.contributions or None,
            "margin": scored.margin,
        }
        if not self._is_all_lifted:
            lifted = {name: value for name, value in scored.output.items() if name in TOP_LEVEL_FIELDS}
            others = {name: value for name, value in scored.output.items() if name not in TOP_LEVEL_FIELDS}
            rest = {**lifted, **rest, "output": others or None}
            output = b""
        return b"%b%b%b%b" % (self._start, output[1:-1] + b"," if output else b"", msgspec.json.encode(rest)[1:], END)

    def _learn(self, scored: Scored) -> None:
        """Make the templates from what the regular route would answer and record.

        Raises:
            ContractViolation: the output breaks the contract of the event.
        """
        prediction = of_features(scored, Assigned(self.version))
        event = served_event(prediction)
        output, reasons = msgspec.json.encode(scored.output), msgspec.json.encode(scored.reasons)
        self.template = template_of_features(event, prediction.prediction_id, output, reasons)
        response = response_of(Predicted(self.version, [prediction]), NO_PUBLICATION)
        item = response.model_dump(mode="json")["predictions"][0]
        differ = {*OTHER_FIELDS, *(TOP_LEVEL_FIELDS & self._fields), *(() if self._is_all_lifted else ("output",))}
        fixed = msgspec.json.encode({name: value for name, value in item.items() if name not in differ})
        head, found, _ = response.model_dump_json().encode().partition(LIST)
        self._start = head + found + fixed[:-1] + b","


class AskedFeatures(NamedTuple):
    """A valid row, and whether reasons are wanted."""

    by: FastVersion
    row: msgspec.Struct
    explains: bool


class ByFeatures:
    """Answers requests with one row of features of the default model."""

    def __init__(self, runtime: ModelRuntime, log: PredictionLog, *, model_seconds: BulkHistogram) -> None:
        self._runtime = runtime
        self._log = log
        self._model_seconds = model_seconds
        self._new_id = EventIds().next
        self._state: ServingState | None = None
        self._by: FastVersion | None = None

    def read(self, body: bytes) -> AskedFeatures | None:
        """Return the row, or None if the regular route should answer."""
        state = self._runtime.current(DEFAULT_MODEL)
        if state is not self._state:
            self._state, self._by = state, _fast_version(state)
        if (by := self._by) is None:
            return None
        try:
            asked: Any = by.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        has_reasons = asked.reasons is not msgspec.UNSET
        if body.count(b'"') != by.quotes + 2 * has_reasons:  # a name is repeated, which msgspec does not see
            return None
        return AskedFeatures(by, asked.features, asked.reasons is not False)

    def items(self, asked: AskedFeatures) -> int:
        """Return the number of rows."""
        return 1

    def answer(self, asked: AskedFeatures, ids: RequestIds) -> Served | None:
        """Predict, record the prediction and return the response, or None if the output is invalid or too long.

        Raises:
            NotPersisted: the prediction could not be recorded.
        """
        by, started = asked.by, time.perf_counter()
        scored = by.score(msgspec.structs.asdict(asked.row), asked.explains)
        self._model_seconds.observe((by.version.name,), time.perf_counter() - started)
        output = by.encoded_output(scored.output)
        if output is None:
            return None
        event_id = self._new_id()
        body = by.response(scored, output, id_text(event_id).decode())
        probability = scored.output.get("probability")
        labels = by.version.name, by.version.role
        response = Served(body, [(labels, probability)] if isinstance(probability, float) else [])
        self._log.append_with_output(
            by.template,
            event_id,
            output=output,
            reasons=msgspec.json.encode(scored.reasons),
            attributes=attributes_text(attributes_of(ids)),
        )
        return response


def _fast_version(state: ServingState) -> FastVersion | None:
    active, experiment = state.active, state.experiment
    if active is None or active.trained.score_one is None:
        return None
    if experiment is not None and experiment.unit == "account":  # the arm differs from caller to caller
        return None
    return FastVersion(active, active.trained.score_one)


def _exact_row(schema: type[msgspec.Struct]) -> tuple[type[msgspec.Struct], list[str]]:
    """Return the input schema with all features required and no others, and their names."""
    names = [each.name for each in msgspec.structs.fields(schema)]
    fields = [(each.name, each.type) for each in msgspec.structs.fields(schema)]
    exact = msgspec.defstruct(
        "ExactRow", fields, bases=(schema,), forbid_unknown_fields=True, kw_only=True, frozen=True
    )
    return exact, names
