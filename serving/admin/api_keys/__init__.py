"""API keys: list, create, rotate and revoke."""
