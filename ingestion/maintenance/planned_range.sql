-- The number of rows that raw should have in a range that is not deleted yet, and the sum of their offsets.
SELECT
    rows - rejected AS valid_rows,
    valid_offset_sum
FROM ops.pruned_range
WHERE
    log_id = %(log_id)s
    AND topic = %(topic)s
    AND kafka_partition = %(partition)s
    AND next_offset = %(end)s
    AND pruned_at IS NULL
