"""Land Kafka's events exactly once: `consumer` runs the loop, `commit` appends a batch, `announce` notifies Airflow."""
