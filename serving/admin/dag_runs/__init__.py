"""Airflow's DAGs: list them and their runs, start runs and watch them."""
