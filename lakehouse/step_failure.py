"""Failed steps of pipeline runs. They are recorded immediately, because a run's step events reach the marts only later.

Everything that shows the progress of a run (`okr demo`, `okr status`, the API, the web page) reads the failures through
this module or from `ops.publication_hold`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from lakehouse.warehouse import connect, read_sql

RETENTION = timedelta(days=90)


@dataclass(frozen=True)
class StepFailure:
    """One row of ops.step_failure: a step that failed and has not succeeded since."""

    pipeline: str
    run_id: str
    step: str
    failed_at: datetime
    message: str

    def __str__(self) -> str:
        """Return the line shown in a terminal: the step and its message."""
        return f"{self.step} of {self.pipeline} failed at {self.failed_at:%H:%M:%S} UTC: {self.message}"


def record(dsn_transform: str, failure: StepFailure) -> None:
    """Record a failure, which replaces an earlier one of the same step and run. Delete failures older than 90 days.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn_transform, application="okr-steps") as connection:
        connection.execute(read_sql("lakehouse", "record_step_failure").encode(), vars(failure))
        connection.execute("DELETE FROM ops.step_failure WHERE failed_at < %s", (failure.failed_at - RETENTION,))


def delete_superseded(dsn_transform: str, *, pipeline: str, run_id: str, step: str, started_at: datetime) -> None:
    """Delete the failures of a step that has succeeded: all of this run, and all from before this attempt.

    Failures of other runs may still exist, because the callback that should have deleted them may have been killed.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn_transform, application="okr-steps") as connection:
        connection.execute(
            "DELETE FROM ops.step_failure WHERE (pipeline, step) = (%s, %s) AND (run_id = %s OR failed_at <= %s)",
            (pipeline, step, run_id, started_at),
        )


def delete_for_pipeline(dsn_transform: str, *, pipeline: str) -> None:
    """Delete the failures of a pipeline whose data is all published, so that they no longer put publications on hold.

    Failures of `document` are kept, because that step runs after the publication.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn_transform, application="okr-steps") as connection:
        connection.execute("DELETE FROM ops.step_failure WHERE pipeline = %s AND step <> 'document'", (pipeline,))


def failures_of_run(dsn: str, pipeline: str, run_id: str) -> list[StepFailure]:
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
