"""Maintenance of the lake: `compaction` of small files, `log_cleanup` of the Delta log, and vacuum of expired files.

`run` performs all three, and `pruning`. None of them affects the exactly-once guarantee. Compaction moves rows between
files and does not change landing offsets. Log cleanup removes only log files before a checkpoint that was flushed and
read back.

`repair` recovers a table after a power cut, `accept_loss` lets landing continue after the broker deleted events that
had not landed, `pruning` deletes telemetry after its retention from the lake and `raw`, and `expired_requests` deletes
stored API requests.
"""

from ingestion.maintenance.run import maintain

__all__ = ["maintain"]
