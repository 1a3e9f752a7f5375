"""The audit log: list its events."""
