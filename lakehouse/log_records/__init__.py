"""Log records: their schema, their rendering as one line of JSON, redaction, and levels that can change at run time."""
