"""Event contracts: the envelope, and one file per noun.

A new event type needs three changes: its model in a file here, its generated JSON Schema in `schemas/`
(`okr contracts schemas`), and its line in docs/events.md.
"""

from lakehouse.contracts.envelope import Envelope
from lakehouse.contracts.registry import TOPICS, Contract, contract_of, contracts

__all__ = ["TOPICS", "Contract", "Envelope", "contract_of", "contracts"]
