"""Parse and validate messages into rows of a landing table, in the same way for every consumer.

There are two steps, because messages are cheapest to inspect right after they are read, and columns in bulk:

- `prevalidate` parses the messages of one read into columns, while they are in the CPU cache.
- `decode_batch` turns a batch's prevalidated messages into rows: the usual form by column, the others one by one.
"""

from ingestion.decoding.batch_validation import decode_batch
from ingestion.decoding.prevalidation import prevalidate

__all__ = ["decode_batch", "prevalidate"]
