"""Work that delta-rs does not do on a local disk: locate the log's files, detect torn commits, flush to the disk."""
