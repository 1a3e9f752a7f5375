"""Kill one task of a DAG run at one point after the other and retry it each time, as Airflow does."""

import signal
from collections.abc import Callable, Mapping
from typing import Any

from lakehouse.settings import Settings
from tests.dags.zygote import Ended, Zygote


def nothing() -> None:
    """Do nothing between two tries."""


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
    """Kill a task at every point (name and code that injects the kill), then return the result of an undisturbed try.

    `task` is the DAG and the function in dags.steps, `arm` is code for every try, `meanwhile` runs after each kill.
    """
    dag, body = task
    for number, (point, kill) in enumerate(points.items(), 1):
        order = {"run_id": run_id, "dag": dag, "try_number": number, "arm": f"{arm}\n{kill}"}
        killed = zygote.run(settings, body, *arguments, **order)
        assert killed.status == -signal.SIGKILL, f"not killed {point}: {killed.log}"
        meanwhile()
    return zygote.run(settings, body, *arguments, run_id=run_id, dag=dag, try_number=len(points) + 1, arm=arm)
