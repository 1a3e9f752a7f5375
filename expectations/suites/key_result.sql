-- name: every_key_result_arrived
-- expect: the mart has one current key result for each key result id defined in raw
SELECT in_raw, in_mart
FROM (
    SELECT count(DISTINCT data ->> 'key_result_id') AS in_raw
    FROM raw.okr_user_events
    WHERE event_type = 'okr.key_result.defined.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
CROSS JOIN (SELECT count(*) AS in_mart FROM {batch} WHERE is_current) AS m
WHERE in_raw <> in_mart

-- name: one_version_is_current
-- expect: each key result has exactly one current version
SELECT key_result_id, count(*) FILTER (WHERE is_current) AS current_versions
FROM {batch} GROUP BY key_result_id HAVING count(*) FILTER (WHERE is_current) <> 1 OR key_result_id IS NULL

-- name: versions_are_contiguous
-- expect: the versions of a key result are numbered 1, 2, ... and each is valid until the next one
SELECT key_result_id, version_number, expected_number, valid_to, next_from
FROM (
    SELECT *, row_number() OVER by_version AS expected_number, lead(valid_from) OVER by_version AS next_from
    FROM {batch}
    WINDOW by_version AS (PARTITION BY key_result_id ORDER BY version_number)
) AS followed
WHERE version_number <> expected_number OR valid_to IS DISTINCT FROM next_from
