"""Record that a paused pipeline has work to do, which puts publications on hold."""

from lakehouse.warehouse import connect, read_sql


def record(dsn_transform: str, pipeline: str, waiting: str | None) -> None:
    """Record a description of the work that waits for a paused pipeline; None deletes the record.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn_transform, application="okr-steps") as connection:
        if waiting is None:
            connection.execute("DELETE FROM ops.pipeline_pause WHERE pipeline = %s", (pipeline,))
        else:
            values = {"pipeline": pipeline, "waiting": waiting}
            connection.execute(read_sql("lakehouse", "record_pipeline_pause").encode(), values)
