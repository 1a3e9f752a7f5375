"""Parse and validate messages into rows of a landing table, in the same way for every consumer.

There are two steps, because it is cheapest to inspect a message right after it was read, and columns in bulk:

- `prevalidate` parses the messages of one read into columns, while they are in the CPU cache.
- `decode_batch` makes rows of a batch's prevalidated messages: in the usual form by column, all others one by one.
"""

from ingestion.decoding.batch_validation import decode_batch
from ingestion.decoding.prevalidation import prevalidate

__all__ = ["decode_batch", "prevalidate"]
