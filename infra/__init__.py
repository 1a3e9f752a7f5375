"""The local stack, servers, migrations, analysts' logins and the demo.

Of the project's packages, it imports only `lakehouse` (Airflow's preloading in local/airflow_config imports more). Only
`forecast_benchmark` and tests import it.
"""
