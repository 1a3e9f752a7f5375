"""The keys that sign access tokens: list and rotate."""
