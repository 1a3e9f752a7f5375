"""Consume events from Kafka and maintain the state tables (schema `app`) and the live figures in Redis.

`consumer` contains the loop, `store` the transaction for each batch, `projection` the updates of the state tables,
and `redis_figures` the updates of Redis.
"""
