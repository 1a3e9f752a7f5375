"""Predict for named features with the version of an arm or the active version, and count calls for the guardrails."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.errors import PermanentError
from lakehouse.logs import get_logger
from serving.errors import NotServing
from serving.experiments.observations import Observations
from serving.experiments.versions_of_arms import Assigned
from serving.models.features import check_output
from serving.models.loaded_version import LoadedVersion, rule_of
from serving.models.served_model import Scored, ServedModel
from serving.models.serving_state import ServingState


class FeatureScorer:
    """Predicts for rows. If the arm's version fails, the active version predicts; if this fails as well, the rule."""

    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        self._log = get_logger(__name__)

    def score(
        self,
        rows: Sequence[Mapping[str, Any]],
        model: ServedModel,
        state: ServingState,
        arm: Assigned | None,
        *,
        explains: bool = True,
    ) -> tuple[list[Scored], Assigned]:
        """Return a result per row, and the version that has predicted.

        Without `explains`, the results have neither reasons nor contributions.

        Raises:
            NotServing: no version can predict.
        """
        rule = rule_of(model)
        versions = [arm, *(Assigned(each) for each in (state.active, rule) if each is not None)]
        for assigned in versions:
            if assigned is not None:
                try:
                    return self.score_by(assigned, rows, explains=explains), assigned
                except PermanentError as error:
                    self._log.error("a version cannot predict", version=assigned.version.key, error=str(error))
        raise NotServing(f"No version of {model.name} can predict. {state.problem or 'The log says why.'}")

    def score_by(self, assigned: Assigned, rows: Sequence[Mapping[str, Any]], *, explains: bool = True) -> list[Scored]:
        """Predict for rows with one version, and count the call if it belongs to an arm.

        Raises:
            PermanentError: the version fails, or an output breaks the model's output schema.
        """
        started, is_failed = time.perf_counter(), True
        try:
            scored = _scored(assigned.version, rows, explains=explains)
            is_failed = False
        finally:
            if assigned.experiment is not None and assigned.arm is not None:
                duration_ms = (time.perf_counter() - started) * 1000
                self._observations.add(assigned.experiment, assigned.arm, is_failed=is_failed, duration_ms=duration_ms)
        return scored


def _scored(version: LoadedVersion, rows: Sequence[Mapping[str, Any]], *, explains: bool) -> list[Scored]:
    try:
        scored = version.score_valid(rows, explains=explains)
    except PermanentError:
        raise
    except Exception as error:  # a model may raise anything
        raise PermanentError(f"{version.key} raised {type(error).__name__}: {error}") from error
    if len(scored) != len(rows):
        raise PermanentError(f"{version.key} returned {len(scored)} results for {len(rows)} rows.")
    for result in scored:
        if fault := check_output(result.output, version.model.output):
            raise PermanentError(f"{version.key} returned an invalid output: {fault}.")
    return scored
