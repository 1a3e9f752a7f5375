"""Kafka to the lake, exactly once: `consumer` is the loop, `commit` appends, by `files`; `announce` tells Airflow."""
