"""Upkeep of the lake: `merge` joins small files, `shorten` bounds the log, `run` does both and removes what is old.

None of it touches the invariant: a merge moves rows between files and changes no transaction version, and the log is
shortened only below a checkpoint that is on the disk and was read back. `repair` is for what a power cut leaves,
`loss` for what the broker deleted too early.
"""

from ingestion.upkeep.run import upkeep

__all__ = ["upkeep"]
