-- Delete a plan whose commit never happened, so that the lake records other ends.
DELETE FROM ops.pruned_range
WHERE
    log_id = %(log_id)s
    AND topic = %(topic)s
    AND kafka_partition = %(partition)s
    AND next_offset > %(start)s
    AND pruned_at IS NULL
