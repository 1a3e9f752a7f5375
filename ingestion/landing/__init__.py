"""Land Kafka's events exactly once: `consumer` is the loop, `commit` appends a batch, `announce` notifies Airflow."""
