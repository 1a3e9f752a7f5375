"""Kafka to the primary database and Redis.

`consumer` is the loop, `store` the transaction, `projection` updates app.*, `redis_figures` the figures in Redis.
"""
