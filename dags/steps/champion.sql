-- MLflow's own table, read directly: importing MLflow takes seconds that every publication would wait for.
SELECT version FROM registered_model_aliases WHERE name = %(name)s AND alias = %(alias)s
