-- name: loaded_is_published
-- expect: events that were loaded more than an hour ago are published, unless publications are on hold
SELECT m.kafka_partition, m.next_offset, m.updated_at, p.published_offset
FROM raw.load_watermark AS m
LEFT JOIN (
    SELECT o.key::int AS kafka_partition, o.value::bigint AS published_offset
    FROM {batch} AS current CROSS JOIN LATERAL jsonb_each_text(current.offsets -> 'okr_user_events') AS o (key, value)
) AS p USING (kafka_partition)
WHERE
    m.topic = 'okr_user_events' AND m.updated_at < now() - interval '1 hour'
    AND m.next_offset > coalesce(p.published_offset, 0)
    -- A hold after a failed run is accepted for only one hour, because another run should have started by then.
    AND NOT EXISTS (
        SELECT FROM ops.publication_hold WHERE kind IN ('gate', 'rollback') OR newest_at > now() - interval '1 hour'
    )

-- name: is_the_current_one
-- expect: marts.publication shows the publication that is current in ops.publication
SELECT current.publication_id, p.publication_id AS recorded_id
FROM {batch} AS current LEFT JOIN ops.publication AS p ON p.is_current
WHERE current.publication_id IS DISTINCT FROM p.publication_id

-- name: rows_are_those_published
-- expect: the scorecard and fct_check_in have as many rows as when they were published
SELECT p.publication_id, p.rows, s.scorecard_rows, c.check_in_rows
FROM {batch} AS current
INNER JOIN ops.publication AS p USING (publication_id)
CROSS JOIN (SELECT count(*) AS scorecard_rows FROM mart_okr_scorecard) AS s
CROSS JOIN (SELECT count(*) AS check_in_rows FROM fct_check_in) AS c
WHERE
    (p.rows ->> 'mart_okr_scorecard')::bigint <> s.scorecard_rows
    OR (p.rows ->> 'fct_check_in')::bigint <> c.check_in_rows
