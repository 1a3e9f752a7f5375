"""Parse and validate messages into rows of a landing table, in the same way for every consumer.

There are two steps, because messages are cheapest to parse one by one, right after they were read, and cheapest to
validate in bulk, as columns:

- `parse_messages` parses the messages of one read into columns, while they are in the CPU cache.
- `decode_batch` turns the parsed messages of a batch into rows. It validates messages in canonical form column by
  column, and all others one by one.
"""

from ingestion.decoding.batch_validation import decode_batch
from ingestion.decoding.parsing import parse_messages

__all__ = ["decode_batch", "parse_messages"]
