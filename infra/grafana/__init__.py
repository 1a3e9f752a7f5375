"""Grafana: dashboards as code (`boards/`), the JSON files written from them (`dashboards/`), and provisioning files."""
