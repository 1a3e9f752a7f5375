-- Since topics are distinguished by their ids, these columns hold "<cluster id>/<topic id>", not a cluster id alone.
ALTER TABLE raw.load_watermark RENAME COLUMN cluster_id TO log_id;
COMMENT ON COLUMN raw.load_watermark.log_id IS 'Kafka log (cluster id/topic id) whose offsets these are; null only in rows older than this column, until the next load.';

ALTER TABLE app.consumer_offset RENAME COLUMN cluster_id TO log_id;
COMMENT ON COLUMN app.consumer_offset.log_id IS 'Kafka log (cluster id/topic id) whose offsets these are.';

ALTER TABLE app.refused_event RENAME COLUMN cluster_id TO log_id;
COMMENT ON COLUMN app.refused_event.log_id IS 'Kafka log (cluster id/topic id) that the event came from.';
