"""Kafka to the lake, exactly once: `consumer` is the loop, `commit` appends a batch, `announce` notifies Airflow."""
