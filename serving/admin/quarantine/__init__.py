"""Quarantine of individual events: list, release and withhold them."""
