"""Prepare the answers of POST /predict for each new publication and version of the model."""

from serving.experiments.versions_of_arms import Assigned, UnitIds, predicting_arm, shadow_arms
from serving.fast_path.prepared_answers import Answered, PreparedAnswers
from serving.models.catalog import DEFAULT_MODEL
from serving.models.loaded_version import LoadedVersion
from serving.models.runtime import ModelRuntime
from serving.models.serving_state import ServingState
from serving.predictor.forecast_tables import ForecastTables, Snapshot
from serving.predictor.key_result_answers import CachedForecast
from serving.predictor.prediction import of_key_result, served_event
from serving.predictor.responses import response_of
from serving.predictor.service import Predicted, forecast_by_arm
from serving.publication_reader import Published
from serving.schemas import publication_fields


class CurrentAnswers:
    """The prepared answers of the newest tables. Until a new publication has tables, the previous ones are used."""

    def __init__(self, runtime: ModelRuntime, tables: ForecastTables) -> None:
        self._runtime = runtime
        self._tables = tables
        self._state: ServingState | None = None
        self._snapshot: Snapshot | None = None
        self._answers: PreparedAnswers | None = None

    def newest(self) -> PreparedAnswers | None:
        """Return the current answers, or None if the regular route must answer. Never blocks.

        Call it on the event loop only.
        """
        state, snapshot = self._runtime.current(DEFAULT_MODEL), self._tables.newest
        if state is not self._state or snapshot is not self._snapshot:
            self._state, self._snapshot = state, snapshot
            self._answers = _prepared(state, snapshot)
        return self._answers


def _prepared(state: ServingState, snapshot: Snapshot | None) -> PreparedAnswers | None:
    active, experiment = state.active, state.experiment
    if active is None or snapshot is None or active.key not in snapshot.tables:
        return None
    if experiment is not None and experiment.unit == "account":  # the arm differs from caller to caller
        return None
    return PreparedAnswers(lambda key_result_id: _answer(key_result_id, active, state, snapshot))


def _answer(key_result_id: str, active: LoadedVersion, state: ServingState, snapshot: Snapshot) -> Answered | None:
    answer = snapshot.tables[active.key].answers.get(key_result_id)
    if not isinstance(answer, CachedForecast):
        return None
    units: UnitIds = {"key_result": key_result_id, "team": answer.team_id, "account": None}
    if shadow_arms(state, units):
        return None
    assigned, forecast = forecast_by_arm(
        key_result_id, answer, Assigned(active), predicting_arm(state, units), snapshot
    )
    prediction = of_key_result(key_result_id, forecast, assigned, snapshot.publication.publication_id)
    found = Published(snapshot.publication, Predicted(active, [prediction]))
    body = response_of(found.value, publication_fields(found)).model_dump_json().encode()
    labels = assigned.version.name, assigned.version.role
    return Answered(body, prediction.prediction_id, served_event(prediction), labels, forecast.output["probability"])
