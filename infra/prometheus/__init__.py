"""Monitoring by Prometheus: its configuration, recording and alert rules, and the exporters of the local stack."""
