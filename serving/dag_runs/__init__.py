"""Runs of Airflow's DAGs: list, start and watch them through Airflow's REST API."""
