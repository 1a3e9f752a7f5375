"""Kafka to the lake, exactly once: `consumer` is the loop, `decode` judges, `commit` appends, `announce` tells."""
