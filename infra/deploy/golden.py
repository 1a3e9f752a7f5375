"""Check the predictions of a colour before it serves: golden rows and their outputs from the model registry.

The registry's outputs were computed when the version was registered, so a release that predicts differently is wrong,
whatever the reason. If the registry has none, because a rule predicts, the serving colour's predictions are expected.
"""

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from infra.deploy.api_client import ColourClient
from infra.deploy.host import Host
from lakehouse.errors import PermanentError, RetryableError

COMMAND_S = 120
FIELDS = ("probability", "low", "high")
Row = Mapping[str, Any]


def check_golden_rows(host: Host, candidate: ColourClient, serving: ColourClient | None) -> int:
    """Compare a colour's predictions with the expected ones, and return the number of rows that were compared.

    The rows are sent one by one, which the API answers on its fast path, and together, which it does not.

    Raises:
        PermanentError: a prediction is different.
        RetryableError: a colour or the registry does not respond, or the colours serve different versions.
    """
    version = candidate.active_version()
    if serving is not None and (other := serving.active_version()) != version:
        raise RetryableError(f"The new release serves model version {version}, but the current one serves {other}.")
    tolerance, rows, expected = _registered(host, version)
    for predict in (candidate.predict, candidate.predict_one_by_one):
        found = predict(rows)
        if len(found) != len(rows):
            raise PermanentError(f"Expected {len(rows)} predictions for {len(rows)} golden rows, got {len(found)}.")
        # A rule predicts, which may have the number of a registered version.
        if any(each.get("abstained") for each in found) or not any(expected):
            expected = [None] * len(rows) if serving is None else list(serving.predict(rows))
        _compare(expected, found, version, tolerance)
    return sum(each is not None for each in expected)


def _compare(expected: Sequence[Row | None], found: Sequence[Row], version: str, tolerance: float) -> None:
    for number, (wanted, got) in enumerate(zip(expected, found, strict=True), start=1):
        if wanted is None:
            continue
        for name in FIELDS:
            if not _is_close(wanted.get(name), got.get(name), tolerance):
                raise PermanentError(
                    f"Golden row {number}: expected {name} = {wanted.get(name)!r} of model version {version}, got "
                    f"{got.get(name)!r}. The new release predicts differently; it does not serve."
                )


def _registered(host: Host, version: str) -> tuple[float, list[Row], list[Row | None]]:
    """Return the tolerance, the rows, and the registered output of each, if it has one.

    `ml` is run as a command of this release, because `infra` does not import it.
    """
    command = [sys.executable, "-I", "-m", "lakehouse.cli", "forecast", "golden", version]
    try:
        done = subprocess.run(
            command, env=host.environment(), capture_output=True, text=True, timeout=COMMAND_S, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = " ".join(str(error.stderr or error).split())
        raise RetryableError(f"The golden rows of version {version} could not be read: {said[-500:]}") from error
    document = json.loads(done.stdout)
    golden = document["golden_rows"]
    return float(document["tolerance"]), [each["row"] for each in golden], [each["output"] for each in golden]


def _is_close(wanted: object, got: object, tolerance: float) -> bool:
    if isinstance(wanted, (int, float)) and isinstance(got, (int, float)):
        return math.isclose(wanted, got, rel_tol=0.0, abs_tol=tolerance)
    return wanted == got
