"""The local stack, servers, migrations, analysts' logins and the demo.

Of the project's packages, it imports only `lakehouse`; `forecast_benchmark` also imports `ingestion` and `ml`, and
Airflow's preloading in local/airflow_config imports more. Only tests import it.
"""
