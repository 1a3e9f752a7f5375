"""Check the golden rows of a version: feature rows and outputs that were stored when it was registered."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakehouse.errors import PermanentError
from lakehouse.logs import get_logger
from ml.golden_rows import read_golden_rows
from serving.models.features import check_output
from serving.models.served_model import Scorer, ServedModel


def check_golden_rows(model: ServedModel, scorer: Scorer, folder: Path) -> int:
    """Predict for the golden rows, compare their outputs with the stored ones, and return their number.

    Raises:
        PermanentError: an output differs, or breaks the model's output schema.
    """
    tolerance, golden = read_golden_rows(folder)
    if not golden:
        get_logger(__name__).warning("the version has no golden rows, so it is not checked", folder=str(folder))
        return 0
    for number, ((_, expected), scored) in enumerate(
        zip(golden, scorer.score([row for row, _ in golden]), strict=True), start=1
    ):
        if fault := check_output(scored.output, model.output):
            raise PermanentError(f"Golden row {number} of {model.name} produces an invalid output: {fault}.")
        for name, value in expected.items():
            if not _is_equal(value, scored.output.get(name), tolerance):
                raise PermanentError(
                    f"Golden row {number} of {model.name} gives {name} = {scored.output.get(name)!r} on this host, but "
                    f"gave {value!r} when the version was registered. Check that the same packages are installed."
                )
    return len(golden)


def _is_equal(expected: Any, actual: Any, tolerance: float) -> bool:
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return expected.keys() == actual.keys() and all(
            _is_equal(value, actual[name], tolerance) for name, value in expected.items()
        )
    if isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        return len(expected) == len(actual) and all(
            _is_equal(*pair, tolerance) for pair in zip(expected, actual, strict=True)
        )
    if isinstance(expected, float) and isinstance(actual, (int, float)):
        return math.isclose(expected, actual, rel_tol=0.0, abs_tol=tolerance)
    return bool(expected == actual)
