"""Quarantine of single events: list, release and withhold them."""
