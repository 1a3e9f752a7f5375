-- name: nothing_beyond_the_watermark
-- expect: raw has no event at or beyond the watermark of its partition
SELECT kafka_partition, kafka_offset, next_offset
FROM {batch} AS events
LEFT JOIN raw.load_watermark AS watermark USING (kafka_partition)
WHERE watermark.topic = 'okr_user_events' AND events.kafka_offset >= watermark.next_offset

-- name: few_repeats (advice)
-- expect: at most a tenth of the events are duplicates sent by their source
SELECT events, repeats
FROM (SELECT count(*) AS events, count(*) - count(DISTINCT event_id) AS repeats FROM {batch}) AS counts
WHERE repeats > 0.1 * events

-- name: landed_recently (advice)
-- expect: an event landed within the last 26 hours
SELECT newest_logged_at
FROM (SELECT max(logged_at) AS newest_logged_at FROM {batch}) AS newest
WHERE newest_logged_at < now() - interval '26 hours'
