"""Maintenance of the lake: `compaction` of small files, `log_cleanup` of the Delta log, vacuum of expired files.

`run` does all three. None of them affects the exactly-once invariant: compaction moves rows between files and changes
no landing offset, and log cleanup removes only what precedes a checkpoint that was flushed and read back. `repair`
recovers a table after a power cut, `accept_loss` continues after the broker deleted events that had not landed, and
`expired_requests` deletes stored API requests.
"""

from ingestion.maintenance.run import maintain

__all__ = ["maintain"]
