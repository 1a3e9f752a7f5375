"""Adapter between Airflow and the steps. It turns errors into retries or failures, and results into short XComs."""

from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

ROWS_XCOM, REASON_XCOM = "rows", "reason"

P = ParamSpec("P")
R = TypeVar("R")


def step(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function usable as a task: Airflow retries after a RetryableError, and any other OkrError fails the task.

    Raises:
        AirflowFailException: a retry would not help; the message says what to do.
    """

    @wraps(function)
    def task_body(*args: P.args, **kwargs: P.kwargs) -> R:
        from airflow.sdk.exceptions import AirflowFailException

        from lakehouse.errors import OkrError, RetryableError

        try:
            return function(*args, **kwargs)
        except RetryableError:
            raise
        except OkrError as error:
            raise AirflowFailException(str(error)) from error

    return task_body


def run_id() -> str:
    """Return the id of the running DAG run."""
    from airflow.sdk import get_current_context

    return str(get_current_context()["run_id"])


def started_by_asset() -> bool:
    """Return whether the run was started by landed events, not by the schedule or a person."""
    from airflow.sdk import get_current_context

    # The run type is a string enum. It equals its value, but str() would return "DagRunType.ASSET_TRIGGERED".
    return bool(get_current_context()["dag_run"].run_type == "asset_triggered")


def try_number() -> int:
    """Return the number of the current try, which clearing the step does not reset."""
    from airflow.sdk import get_current_context

    return int(get_current_context()["ti"].try_number)


def unfinished_runs(dag_id: str) -> int:
    """Return how many runs of a DAG are queued or running."""
    from airflow.sdk import get_current_context

    return int(get_current_context()["ti"].get_dr_count(dag_id, states=["queued", "running"]))


def is_paused(dag_id: str) -> bool:
    """Return whether a DAG is paused, in which case Airflow drops the asset events that are announced to it."""
    from airflow.sdk import get_current_context

    return bool(get_current_context()["ti"].get_dag(dag_id).is_paused)


def skip(message: str) -> NoReturn:
    """Mark the step and its downstream tasks as skipped.

    Raises:
        AirflowSkipException: always.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    say(message)
    raise AirflowSkipException(message)


def finish_and_skip(task_id: str, *, result: object) -> NoReturn:
    """Mark the step as successful, with its result, and one downstream task as skipped.

    Raises:
        DownstreamTasksSkipped: always.
    """
    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import DownstreamTasksSkipped

    get_current_context()["ti"].xcom_push(key="return_value", value=result)
    raise DownstreamTasksSkipped(tasks=[task_id])


def skip_unless_published() -> None:
    """Skip the step if nothing is published yet; on a new stack, scheduled runs start before data has landed.

    Raises:
        AirflowSkipException: nothing is published.
    """
    from lakehouse.publishing.publication import current
    from lakehouse.settings import load_settings

    if current(load_settings().require("dsn_transform")) is None:
        skip("Nothing is published yet: okr_etl_dag publishes once events have landed.")


def is_param_set(param: str) -> bool:
    """Return whether the DAG run was started with this param set to true."""
    from airflow.sdk import get_current_context

    return get_current_context()["params"][param] is True


def report_rows(rows: int) -> None:
    """Store the number of rows that the running step wrote or checked, for the event of the step."""
    from airflow.sdk import get_current_context

    get_current_context()["ti"].xcom_push(key=ROWS_XCOM, value=rows)


def report_reason(reason: str) -> None:
    """Store the reason for the return value of the running step, for operators who watch the run."""
    from airflow.sdk import get_current_context

    get_current_context()["ti"].xcom_push(key=REASON_XCOM, value=reason)


def say(message: str) -> None:
    """Write to the task's log. Airflow configures structlog; steps never do."""
    from lakehouse.logs import get_logger

    get_logger("okr").info(message)
