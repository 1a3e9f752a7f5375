"""Failed steps of pipeline runs. They are recorded immediately, because only a later run publishes a step's event.

Everything that shows the progress of a run (`okr demo`, `okr status`, the API, the page) reads failures here or in
`ops.publication_hold`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from lakehouse.warehouse import connect, read_sql

KEPT = timedelta(days=90)


@dataclass(frozen=True)
class StepFailure:
    """One row of ops.step_failure: a step that ended in failure and has not succeeded since."""

    pipeline: str
    run_id: str
    step: str
    failed_at: datetime
    message: str

    def __str__(self) -> str:
        """Return the line shown in a terminal: the step and its message."""
        return f"{self.step} of {self.pipeline} failed at {self.failed_at:%H:%M:%S} UTC: {self.message}"


def record(dsn_transform: str, failure: StepFailure) -> None:
    """Record a failure, replacing one of the same step and run; delete failures older than 90 days.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn_transform, application="okr-steps") as connection:
        connection.execute(read_sql("lakehouse", "record_step_failure").encode(), vars(failure))
        connection.execute("DELETE FROM ops.step_failure WHERE failed_at < %s", (failure.failed_at - KEPT,))


def delete_superseded(dsn_transform: str, *, pipeline: str, run_id: str, step: str, started_at: datetime) -> None:
    """Delete the failures of a step that has succeeded: those of this run, and all older than this attempt.

    The callback of an earlier success may have been killed before it deleted the failure of its run.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn_transform, application="okr-steps") as connection:
        connection.execute(
            "DELETE FROM ops.step_failure WHERE (pipeline, step) = (%s, %s) AND (run_id = %s OR failed_at <= %s)",
            (pipeline, step, run_id, started_at),
        )


def delete_for_pipeline(dsn_transform: str, *, pipeline: str) -> None:
    """Delete the failures of a pipeline after a run found nothing to publish, so that they no longer hold publications.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn_transform, application="okr-steps") as connection:
        connection.execute("DELETE FROM ops.step_failure WHERE pipeline = %s AND step <> 'document'", (pipeline,))


def of_run(dsn: str, pipeline: str, run_id: str) -> list[StepFailure]:
    """Return the failed steps of a run in the order in which they failed.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn, application="okr-steps") as connection:
        cursor = connection.cursor(row_factory=class_row(StepFailure))
        return cursor.execute(
            "SELECT pipeline, run_id, step, failed_at, message FROM ops.step_failure "
            "WHERE pipeline = %s AND run_id = %s ORDER BY failed_at, step",
            (pipeline, run_id),
        ).fetchall()
