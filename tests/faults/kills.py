"""One task of a DAG run that is killed at one point after another and tried again each time, as Airflow does it."""

import signal
from collections.abc import Callable, Mapping
from typing import Any

from lakehouse.settings import Settings
from tests.dags.zygote import Ended, Zygote


def nothing() -> None:
    """Look at nothing between two tries."""


def killed_at_each(
    zygote: Zygote,
    settings: Settings,
    task: tuple[str, str],
    points: Mapping[str, str],
    *arguments: Any,
    run_id: str,
    arm: str = "",
    meanwhile: Callable[[], object] = nothing,
) -> Ended:
    """Kill a task at every point (its name and what plants the kill), then return how the try without a kill ended.

    `task` is the DAG and the body below dags.steps, `arm` is planted into every try, `meanwhile` runs after each kill.
    """
    dag, body = task
    for number, (point, kill) in enumerate(points.items(), 1):
        order = {"run_id": run_id, "dag": dag, "try_number": number, "arm": f"{arm}\n{kill}"}
        killed = zygote.run(settings, body, *arguments, **order)
        assert killed.status == -signal.SIGKILL, f"not killed {point}: {killed.log}"
        meanwhile()
    return zygote.run(settings, body, *arguments, run_id=run_id, dag=dag, try_number=len(points) + 1, arm=arm)
