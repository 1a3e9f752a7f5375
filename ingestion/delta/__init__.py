"""What delta-rs leaves to us on a local disk: where a table's log is, whether it is whole, that it is flushed."""
