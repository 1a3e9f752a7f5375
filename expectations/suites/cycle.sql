-- name: every_cycle_arrived
-- expect: as many cycles are current as raw has ids of defined ones
SELECT in_raw, in_mart
FROM (
    SELECT count(DISTINCT data ->> 'cycle_id') AS in_raw
    FROM raw.okr_user_events
    WHERE event_type = 'okr.cycle.defined.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
CROSS JOIN (SELECT count(*) AS in_mart FROM {batch} WHERE is_current) AS m
WHERE in_raw <> in_mart

-- name: one_version_is_current
-- expect: each cycle has exactly one current version
SELECT cycle_id, count(*) FILTER (WHERE is_current) AS current_versions
FROM {batch} GROUP BY cycle_id HAVING count(*) FILTER (WHERE is_current) <> 1 OR cycle_id IS NULL

-- name: versions_do_not_overlap
-- expect: a version ends when the next one begins
SELECT cycle_id, version_number, valid_to, next_from
FROM (SELECT *, lead(valid_from) OVER (PARTITION BY cycle_id ORDER BY version_number) AS next_from FROM {batch}) AS followed
WHERE valid_to IS DISTINCT FROM next_from
