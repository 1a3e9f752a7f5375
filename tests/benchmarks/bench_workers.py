"""Two workers, compared with one. Of two cores, the load generator must need little.

One worker has a core for itself, and wrk the other one. Two workers share both cores with wrk, which needs about a
hundredth of a core, because a request predicts many rows with reasons.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import Settings
from ml.golden_rows import ROWS
from tests.benchmarks.served_api import *  # noqa: F403 -- the fixtures
from tests.benchmarks.served_api import HEADER, Contender, Target, compare, log_in, median, row_of
from tests.benchmarks.wrk import BOTH_CORES, pinned, post_script
from tests.figures import report
from tests.polling import until
from tests.serving.conftest import *  # noqa: F403 -- the published organisation
from tests.serving.worker_processes import okr_serve

pytestmark = pytest.mark.timeout(3_600)

MIN_RATIO = 1.7
ROWS_PER_REQUEST = 100


@pytest.fixture(scope="module")
def two(published: Settings, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Two workers on both cores."""
    settings = published.model_copy(update={"log_json": True, "prediction_log_bytes": 2**30})
    folder = tmp_path_factory.mktemp("two")
    with okr_serve(settings, folder, "--workers", "2", prefix=pinned([], BOTH_CORES)) as served:
        until(lambda: len(served.workers()) == 2, "two workers run")
        yield log_in(published, served)


def test_two_workers_serve_more_than_one(target: Target, two: Target, tmp_path: Path) -> None:
    rows = [dict(ROWS[at % len(ROWS)]) for at in range(ROWS_PER_REQUEST)]
    bodies = [json.dumps({"features": rows}).encode()]
    contenders = []
    for name, server, cores in (("one worker", target, None), ("two workers", two, BOTH_CORES)):
        script = post_script(tmp_path / f"{name[:3]}.lua", bodies, server.headers)
        contenders.append(Contender(name, server.supervisor, f"{server.url}/predict", script, cores))
    loads = compare(*contenders, connections=8)
    one, both = loads["one worker"], loads["two workers"]
    report(
        "Workers",
        HEADER,
        [row_of("one worker", one, one), row_of("two workers", both, one)],
        f"Predictions by {ROWS_PER_REQUEST} rows of features, reasons on. One worker: pinned to a core, wrk on the "
        f"other. Two workers: they and wrk share both cores. Target: rate ratio {MIN_RATIO}.",
    )
    assert median(both, "rate") / median(one, "rate") >= MIN_RATIO
