"""A model version in this worker's memory, and how it is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from lakehouse.settings import Settings
from ml import model_registry
from ml.model_registry import EVALUATED, SERVED
from serving.models.golden_rows import check_golden_rows
from serving.models.served_model import Scored, ServedModel, Trained
from serving.observability import metrics


@dataclass(frozen=True, eq=False)
class LoadedVersion:
    """A version with the name, number and role that are recorded with its predictions. It is equal only to itself.

    `role` is `champion`, `challenger` or the name of the rule that predicts while no version is better.
    """

    model: ServedModel
    version: str
    role: str
    trained: Trained
    is_holdout_model: bool = False
    """Whether this is the version's holdout model, trained without the held-out cycle for the promotion gate."""
    loaded_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def is_rule(self) -> bool:
        """Whether this is the model's rule, whose predictions are recorded as abstained."""
        return self.model.rule is not None and self.trained.scorer is self.model.rule.scorer

    @property
    def name(self) -> str:
        """Name of the model, or of its rule."""
        return self.model.rule.name if self.model.rule is not None and self.is_rule else self.model.name

    @property
    def key(self) -> str:
        """Cache key of this version's predictions."""
        return f"{self.name}/{self.version}{'/holdout' if self.is_holdout_model else ''}"

    def learned_from(self, cycle_end: date) -> bool:
        """Return whether the version was trained on cycles that ended on `cycle_end` or later."""
        return self.trained.trained_until is not None and self.trained.trained_until >= cycle_end

    def score(self, rows: Sequence[Mapping[str, Any]]) -> list[Scored]:
        """Predict for rows in one batch."""
        metrics.MODEL_ROWS.labels(self.name).inc(len(rows))
        with metrics.MODEL_SECONDS.labels(self.name).time():
            return self.trained.scorer.score(rows)

    def score_valid(self, rows: Sequence[Mapping[str, Any]], *, explains: bool) -> list[Scored]:
        """Predict for rows that fit the input schema. Unless `explains`, reasons and contributions are omitted."""
        score_one = self.trained.score_one
        if score_one is None:
            scored = self.score(rows)
            return scored if explains else [Scored(each.output, margin=each.margin) for each in scored]
        metrics.MODEL_ROWS.labels(self.name).inc(len(rows))
        with metrics.MODEL_SECONDS.labels(self.name).time():
            return [score_one(row, explains) for row in rows]


def rule_of(model: ServedModel) -> LoadedVersion | None:
    """Return the model's rule, or None if it has none."""
    if model.rule is None:
        return None
    return LoadedVersion(model, model.rule.version, model.rule.name, Trained(model.rule.scorer))


def load_trained(settings: Settings, model: ServedModel, version: str) -> Trained:
    """Load a version from the registry, warm it up and check its golden rows.

    Raises:
        PermanentError: there is no such version, its files are missing or changed, or its golden rows differ.
        RetryableError: the registry is unavailable.
    """
    files = model_registry.fetch(settings, model.name, version, SERVED)
    trained = model.load(files.folder, files.tags)
    check_golden_rows(model, trained.scorer, files.folder)
    return trained


def load_holdout(settings: Settings, model: ServedModel, version: str) -> Trained:
    """Load the version's holdout model, which was trained without the held-out cycle.

    Raises:
        PermanentError: there is none, or it is incompatible with this code.
        RetryableError: the registry is unavailable.
    """
    files = model_registry.fetch(settings, model.name, version, EVALUATED)
    return model.load(files.folder, files.tags)
