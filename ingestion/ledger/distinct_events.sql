SELECT count(DISTINCT event_id)
FROM {table}
WHERE kafka_offset >= coalesce(({pruned}::jsonb ->> kafka_partition::text)::bigint, kafka_offset)
