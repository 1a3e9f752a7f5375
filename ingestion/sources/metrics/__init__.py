"""Metrics of this host and of our services, for `okr produce metrics`. `collector` is the entry point."""
