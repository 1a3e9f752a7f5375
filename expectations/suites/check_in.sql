-- name: every_check_in_arrived
-- expect: the mart has one check-in for each check_in_id in raw
SELECT in_raw, in_mart
FROM (
    SELECT count(DISTINCT data ->> 'check_in_id') AS in_raw
    FROM raw.okr_user_events
    WHERE event_type = 'okr.check_in.recorded.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
CROSS JOIN (SELECT count(*) AS in_mart FROM {batch}) AS m
WHERE in_raw <> in_mart

-- name: key_result_exists
-- expect: is_key_result_known is true for exactly those check-ins whose key result is in dim_key_result
SELECT c.check_in_id, c.key_result_id
FROM {batch} AS c
LEFT JOIN dim_key_result AS k ON c.key_result_id = k.key_result_id AND k.is_current
WHERE c.is_key_result_known <> (k.key_result_id IS NOT NULL)

-- name: new_progress_is_plausible (acceptable)
-- expect: of 50 or more new check-ins, at most 20 % differ from the baseline by over 100 times the targeted gain
SELECT check_ins, implausible
FROM (
    SELECT count(*) AS check_ins, count(*) FILTER (WHERE abs(c.progress_ratio) > 100) AS implausible
    FROM {batch} AS c
    LEFT JOIN ops.publication AS p ON p.is_current
    WHERE
        p.publication_id IS NULL
        OR c.kafka_offset >= coalesce((p.offsets -> 'okr_user_events' ->> c.kafka_partition::text)::bigint, 0)
) AS new
WHERE implausible > 0.2 * check_ins AND check_ins >= 50

-- name: few_orphans (acceptable)
-- expect: of 50 or more check-ins, at most 20 % belong to an undefined key result
SELECT check_ins, orphans
FROM (SELECT count(*) AS check_ins, count(*) FILTER (WHERE NOT is_key_result_known) AS orphans FROM {batch}) AS counts
WHERE orphans > 0.2 * check_ins AND check_ins >= 50
