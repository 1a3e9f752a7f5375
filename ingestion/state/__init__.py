"""Kafka to the primary database and Redis: `consumer` is the loop, `store` the transaction, `realtime` the figures."""
