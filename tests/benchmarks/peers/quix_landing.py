"""Quix Streams writing a JSON topic to Parquet files as in its documentation; prints the result for the benchmark.

It runs in a separate environment (`make bench-peers`). Unlike our landing, it does not validate types, does not keep
messages that are not JSON (it drops them; otherwise the task would end), does not land exactly once, and does not
partition by day.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

from quixstreams import Application
from quixstreams.sinks.community.file.formats import ParquetFormat
from quixstreams.sinks.community.file.local import LocalFileSink

bootstrap, topic, folder = sys.argv[1:]
Path(folder).mkdir()
os.chdir(folder)  # it does not accept a path with a hyphen
at: dict[str, float] = {"rows": 0}


class Sink(LocalFileSink):  # type: ignore[misc]
    """Record the time of the first message and of each write."""

    def add(self, *arguments: object, **named: object) -> None:
        at.setdefault("started", time.time())
        at.setdefault("used", time.process_time())
        super().add(*arguments, **named)

    def write(self, batch: object) -> None:
        super().write(batch)
        at.update(ended=time.time(), cpu=time.process_time() - at["used"], rows=at["rows"] + batch.size)  # type: ignore[attr-defined]


application = Application(
    bootstrap,
    consumer_group=f"bench-quix-{os.getpid()}",
    auto_offset_reset="earliest",
    auto_create_topics=False,
    commit_every=30_000,
    loglevel="WARNING",
    on_consumer_error=lambda *_: True,  # continue after a message that is not JSON
    consumer_extra_config={"queued.min.messages": 200_000, "fetch.queue.backoff.ms": 5},
)
frame = application.dataframe(application.topic(topic, value_deserializer="json"))
frame.sink(Sink(directory="landed", format=ParquetFormat(compression="zstd")))
application.run(timeout=10)
at["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print("\n" + json.dumps(at))
