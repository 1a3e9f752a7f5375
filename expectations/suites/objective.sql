-- name: every_objective_arrived
-- expect: as many objectives are current as raw has ids of defined ones
SELECT in_raw, in_mart
FROM (
    SELECT count(DISTINCT data ->> 'objective_id') AS in_raw
    FROM raw.okr_user_events
    WHERE event_type = 'okr.objective.defined.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
CROSS JOIN (SELECT count(*) AS in_mart FROM {batch} WHERE is_current) AS m
WHERE in_raw <> in_mart

-- name: one_version_is_current
-- expect: each objective has exactly one current version
SELECT objective_id, count(*) FILTER (WHERE is_current) AS current_versions
FROM {batch} GROUP BY objective_id HAVING count(*) FILTER (WHERE is_current) <> 1 OR objective_id IS NULL

-- name: versions_do_not_overlap
-- expect: a version ends when the next one begins
SELECT objective_id, version_number, valid_to, next_from
FROM (SELECT *, lead(valid_from) OVER (PARTITION BY objective_id ORDER BY version_number) AS next_from FROM {batch}) AS followed
WHERE valid_to IS DISTINCT FROM next_from
