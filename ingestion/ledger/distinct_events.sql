SELECT count(DISTINCT event_id)
FROM {table}
