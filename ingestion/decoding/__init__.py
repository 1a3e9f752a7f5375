"""Parse and validate messages into rows of a landing table, in the same way for every consumer.

There are two steps, because messages are cheapest to inspect right after they are read, and columns in bulk:

- `parse_messages` parses the messages of one read into columns, while they are in the CPU cache.
- `decode_batch` turns a batch's parsed messages into rows: the usual form by column, the others one by one.
"""

from ingestion.decoding.batch_validation import decode_batch
from ingestion.decoding.parsing import parse_messages

__all__ = ["decode_batch", "parse_messages"]
