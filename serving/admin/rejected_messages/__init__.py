"""Rejected messages: list them and fetch their bytes."""
