"""The audit log: list and verify its events."""
