"""The definition of a served model: its name, input and output schema, loader and batch function.

Each subfolder of this package that defines `MODEL` is a served model. `catalog` finds it, so routes, registry, cache
and event contract do not name models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ml.reference_distribution import ReferenceDistribution
from serving.publication_reader import PublishedReader, Row


class Scored(msgspec.Struct, frozen=True):
    """The model's answer for one row.

    `output` has the fields of the model's output schema. `contributions` are the effects of the features on `margin`
    (for a probability, the log-odds). With the base value (`base`), they add up to it. `contributions` is empty and
    `margin` is None if the model cannot be explained this way.
    """

    output: Mapping[str, Any]
    reasons: tuple[str, ...] = ()
    contributions: Mapping[str, float] = {}
    margin: float | None = None


class Scorer(Protocol):
    """The batch function of a model version. It is called by several threads concurrently."""

    def score(self, rows: Sequence[Mapping[str, Any]]) -> list[Scored]:
        """Return one result per row, in the same order. A row has at least the fields of the input schema."""
        ...


ScoreOne = Callable[[Mapping[str, Any], bool], Scored]  # a row, and whether reasons and contributions are wanted


@dataclass(frozen=True)
class Trained:
    """A loaded version: its batch function, and what is known about its training data (None for rules)."""

    scorer: Scorer
    trained_until: date | None = None
    """The last day of the newest cycle whose outcomes the version was trained on."""
    outcomes_known_until: datetime | None = None
    """The time at which the last of its training outcomes became known."""
    reference: ReferenceDistribution | None = None
    """The distribution of its training data, with which the current key results are compared."""
    score_one: ScoreOne | None = None
    """Predicts for a row that fits the input schema faster than `scorer`, with an equal result. Optional."""


@dataclass(frozen=True)
class Rule:
    """Predictions that need no training. They are served while no version of the model is champion."""

    name: str
    version: str
    scorer: Scorer


@dataclass(frozen=True)
class ServedModel:
    """A model that the API serves. `name` is its name in the registry, in the API and in events."""

    name: str
    description: str
    input: type[msgspec.Struct]
    output: type[msgspec.Struct]
    load: Callable[[Path, Mapping[str, str]], Trained]
    """Load a version from the folder with its files and the tags that it was registered with.

    Raises PermanentError if the files are missing, have changed, or are incompatible with this code.
    """
    rule: Rule | None = None
    outcome_type: str | None = None
    """The outcome that its predictions can be compared with (see lakehouse/contracts/prediction.py)."""
    key_result_rows: Callable[[PublishedReader, Sequence[str] | None], list[Row]] | None = None
    """Read the newest feature row of each key result (or of those with the given ids) and cycle from a publication,
    with key_result_id, cycle_id, team_id, as_of and known_at. None if the model takes only features of requests."""
