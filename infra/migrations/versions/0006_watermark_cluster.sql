-- A re-created broker counts from 0 again: without the cluster, its offsets below an old watermark would look loaded.
ALTER TABLE raw.load_watermark ADD COLUMN cluster_id text;
COMMENT ON COLUMN raw.load_watermark.cluster_id IS 'Kafka cluster whose offsets these are; null only in rows older than this column, until the next load.';
