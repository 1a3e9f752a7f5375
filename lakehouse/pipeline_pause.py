"""Whether a pipeline is paused while something waits for it, for whoever asks why nothing newer is published."""

from lakehouse.warehouse import connect, read_sql


def record(dsn_transform: str, pipeline: str, waiting: str | None) -> None:
    """Keep that a paused pipeline has something waiting for it, said in words, or with None that it has not any more.

    Raises:
        RetryableError: the warehouse cannot be reached.
    """
    with connect(dsn_transform, application="okr-steps") as connection:
        if waiting is None:
            connection.execute("DELETE FROM ops.pipeline_pause WHERE pipeline = %s", (pipeline,))
        else:
            values = {"pipeline": pipeline, "waiting": waiting}
            connection.execute(read_sql("lakehouse", "record_pipeline_pause").encode(), values)
