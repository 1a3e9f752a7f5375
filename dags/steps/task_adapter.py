"""The edge to Airflow: our errors become its retries and failures, results become short XComs, steps become events."""

from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

ROWS_XCOM = "rows"

P = ParamSpec("P")
R = TypeVar("R")


def step(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function a task's body: `RetryableError` stays Airflow's to retry, any other error of ours ends the task.

    Raises:
        AirflowFailException: trying again would change nothing; its message says what to do.
    """

    @wraps(function)
    def body(*args: P.args, **kwargs: P.kwargs) -> R:
        from airflow.sdk.exceptions import AirflowFailException

        from lakehouse.errors import OkrError, RetryableError

        try:
            return function(*args, **kwargs)
        except RetryableError:
            raise
        except OkrError as error:
            raise AirflowFailException(str(error)) from error

    return body


def run_id() -> str:
    """Return the id of the running DAG run."""
    from airflow.sdk import get_current_context

    return str(get_current_context()["run_id"])


def started_by_asset() -> bool:
    """Tell whether landed events started the run, not the clock or a person."""
    from airflow.sdk import get_current_context

    # Airflow's type is an enum of strings: it equals its value, but str() of it is "DagRunType.ASSET_TRIGGERED".
    return bool(get_current_context()["dag_run"].run_type == "asset_triggered")


def try_number() -> int:
    """Return which try of the running step this is; it goes on counting when somebody clears the step."""
    from airflow.sdk import get_current_context

    return int(get_current_context()["ti"].try_number)


def unfinished_runs(dag_id: str) -> int:
    """Return how many runs of a DAG are queued or running."""
    from airflow.sdk import get_current_context

    return int(get_current_context()["ti"].get_dr_count(dag_id, states=["queued", "running"]))


def is_paused(dag_id: str) -> bool:
    """Tell whether a DAG is paused: Airflow then forgets what is announced to it."""
    from airflow.sdk import get_current_context

    return bool(get_current_context()["ti"].get_dag(dag_id).is_paused)


def skip(message: str) -> NoReturn:
    """End the step, and with it what follows, as skipped.

    Raises:
        AirflowSkipException: always.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    say(message)
    raise AirflowSkipException(message)


def finish_and_skip(task_id: str, *, result: object) -> NoReturn:
    """End the step as done, with its result, and a task after it as skipped, which then takes no time.

    Raises:
        DownstreamTasksSkipped: always.
    """
    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import DownstreamTasksSkipped

    get_current_context()["ti"].xcom_push(key="return_value", value=result)
    raise DownstreamTasksSkipped(tasks=[task_id])


def skip_unless_published() -> None:
    """End the step as skipped on a stack that has published nothing yet: its first scheduled runs come before the data.

    Raises:
        AirflowSkipException: nothing is published.
    """
    from lakehouse.publication import current
    from lakehouse.settings import load_settings

    if current(load_settings().require("dsn_transform")) is None:
        skip("Nothing is published yet: okr_etl_dag publishes as soon as events have landed.")


def is_param_set(param: str) -> bool:
    """Tell whether a param of the DAG run was set to true by whoever started it."""
    from airflow.sdk import get_current_context

    return get_current_context()["params"][param] is True


def report_rows(rows: int) -> None:
    """Leave how many rows the running step wrote or judged, for the record of the step."""
    from airflow.sdk import get_current_context

    get_current_context()["ti"].xcom_push(key=ROWS_XCOM, value=rows)


def say(message: str) -> None:
    """Write to the task's log. Airflow has configured structlog by then; we never do inside a task."""
    from lakehouse.logs import get_logger

    get_logger("okr").info(message)
