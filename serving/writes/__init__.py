"""Writes of the data API: definitions, endings, comments and bulk requests, each accepted as events."""
