"""The processes that benchmarks of landing run: a bare loop that reads, and landing workers."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from lakehouse.settings import Settings
from tests.ingestion.crash import environment_of

LIMIT_SECONDS = 600

BARE = """
import json, sys, time
from confluent_kafka import Consumer, TopicPartition

bootstrap, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
consumer = Consumer({
    "bootstrap.servers": bootstrap, "group.id": "bench-bare", "enable.auto.commit": False,
    "queued.min.messages": 200_000, "queued.max.messages.kbytes": 262_144, "fetch.message.max.bytes": 8_388_608,
    "fetch.queue.backoff.ms": 5, "auto.offset.reset": "earliest",
})
partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
read, started, used = 0, time.time(), time.process_time()
consumer.assign([TopicPartition(topic, partition, -2) for partition in partitions])
while read < count:
    read += len(consumer.consume(10_000, timeout=5.0))
result = {"started": started, "ended": time.time(), "cpu": time.process_time() - used, "rows": read, "memory": 0}
print(json.dumps(result))
"""

# `okr consume land --drain`, recording the time when it gets its partitions and after each commit. Workers that are
# measured together join the group together: each waits until all have started.
LANDING = """
import json, os, resource, sys, time
from pathlib import Path
from ingestion.landing.commit import LandingTable
from ingestion.kafka_consumer import KafkaConsumer
from lakehouse.cli import main

meeting, workers = Path(sys.argv[1]), int(sys.argv[2])
at = {"rows": 0}
start, rewind, append = KafkaConsumer.start, KafkaConsumer.rewind, LandingTable.append

def start_together(reader, *arguments, **options):
    (meeting / str(os.getpid())).touch()
    while len(list(meeting.iterdir())) < workers:
        time.sleep(0.01)
    start(reader, *arguments, **options)

def given(reader):
    rewind(reader)
    at.setdefault("started", time.time())
    at.setdefault("used", time.process_time())

def committed(table, rows, spans):
    append(table, rows, spans)
    at.update(ended=time.time(), cpu=time.process_time() - at["used"], rows=at["rows"] + rows.num_rows)

KafkaConsumer.start, KafkaConsumer.rewind, LandingTable.append = start_together, given, committed
sys.argv = ["okr", "consume", "land", "--drain"]
try:
    main()
finally:
    at["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print("\\n" + json.dumps(at))
"""


@dataclass(frozen=True)
class Measured:
    """Seconds from the first assignment to the last commit, CPU seconds of all processes, MB of the largest process."""

    seconds: float
    cpu: float
    rows: int
    megabytes: float


def read_only(bootstrap: str, topic: str, count: int) -> Measured:
    """Read `count` messages without parsing them."""
    return measure([sys.executable, "-c", BARE, bootstrap, topic, str(count)], dict(os.environ))


def land(settings: Settings, *, workers: int) -> Measured:
    """Land all messages in Kafka with a number of workers of one group."""
    with tempfile.TemporaryDirectory() as meeting:
        command = [sys.executable, "-c", LANDING, meeting, str(workers)]
        return measure(command, environment_of(settings), processes=workers)


def measure(command: Sequence[str], environment: Mapping[str, str], processes: int = 1) -> Measured:
    """Run a command in parallel processes; the last line of each is JSON: started, ended, cpu, rows, memory."""
    with contextlib.ExitStack() as files:
        outputs = [files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(processes)]
        root = Path(__file__).parents[2]
        processes_started = [
            subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=root) for output in outputs
        ]
        found = [_answer(process, output) for process, output in zip(processes_started, outputs, strict=True)]
    worked = [each for each in found if each["rows"]]
    return Measured(
        max(each["ended"] for each in worked) - min(each["started"] for each in worked),
        sum(each["cpu"] for each in worked),
        sum(each["rows"] for each in worked),
        max(each["memory"] for each in worked),
    )


def _answer(process: "subprocess.Popen[bytes]", output: TextIO) -> dict[str, Any]:
    try:
        status = process.wait(LIMIT_SECONDS)
    finally:
        process.kill()
    output.seek(0)
    text = output.read()
    assert status == 0, text[-3000:]
    answer: dict[str, Any] = json.loads(text.splitlines()[-1])
    return answer
