"""Messages to rows of a landing table, the same for every consumer.

In two steps, because a message is cheapest to look at right after it was read, and columns are in bulk:

- `prevalidate` takes the messages of one read apart while they are in the processor's cache, and lets go of them.
- `decode_batch` makes rows of all that a batch has prevalidated: what is surely good by column, the others one by one.
"""

from ingestion.decoding.full_validation import decode_batch
from ingestion.decoding.prevalidation import prevalidate

__all__ = ["decode_batch", "prevalidate"]
