"""Metrics of this host and of the platform, for `okr produce metrics`. The entry point is `collector`."""
