"""What an event may say: the envelope, and one file per noun. A type is known as soon as its file stands here."""

from lakehouse.contracts.envelope import Envelope
from lakehouse.contracts.registry import TOPICS, Contract, contract_of, contracts

__all__ = ["TOPICS", "Contract", "Envelope", "contract_of", "contracts"]
