-- Grain: one partition of a log with pruned offsets.
SELECT
    log_id,
    kafka_partition,
    coalesce(max(next_offset) FILTER (WHERE pruned_at IS NOT NULL), 0) AS recorded_end,
    array_agg(next_offset ORDER BY next_offset) AS ends,
    array_agg(next_offset - first_offset ORDER BY next_offset) AS offsets,
    array_agg(rows ORDER BY next_offset) AS row_counts
FROM ops.pruned_range
WHERE topic = {topic}
GROUP BY log_id, kafka_partition
