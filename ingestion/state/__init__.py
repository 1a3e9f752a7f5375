"""Consume events from Kafka and maintain the state tables in the primary database and the figures in Redis.

`consumer` contains the loop, `store` the transaction for each batch, `projection` the updates of the tables in schema
app, and `redis_figures` the updates of Redis.
"""
