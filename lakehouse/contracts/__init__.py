"""Event contracts: the envelope, and one file per entity type.

To add an event type, define its model in a file here, generate its JSON Schema in `schemas/` (`okr contracts schemas`),
and add a line to docs/events.md.
"""

from lakehouse.contracts.envelope import Envelope
from lakehouse.contracts.registry import TOPICS, Contract, Personal, contract_of, contracts

__all__ = ["TOPICS", "Contract", "Envelope", "Personal", "contract_of", "contracts"]
