"""Alertmanager: its configuration (routes, grouping, inhibition, receivers) and the API key with which it reports."""
