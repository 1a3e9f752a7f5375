-- name: every_team_arrived
-- expect: the mart has one current team for each team id defined in raw
SELECT in_raw, in_mart
FROM (
    SELECT count(DISTINCT data ->> 'team_id') AS in_raw
    FROM raw.okr_user_events
    WHERE event_type = 'okr.team.defined.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
CROSS JOIN (SELECT count(*) AS in_mart FROM {batch} WHERE is_current) AS m
WHERE in_raw <> in_mart

-- name: one_version_is_current
-- expect: each team has exactly one current version
SELECT team_id, count(*) FILTER (WHERE is_current) AS current_versions
FROM {batch} GROUP BY team_id HAVING count(*) FILTER (WHERE is_current) <> 1 OR team_id IS NULL

-- name: versions_are_contiguous
-- expect: the versions of a team are numbered 1, 2, ... and each is valid until the next one
SELECT team_id, version_number, expected_number, valid_to, next_from
FROM (
    SELECT *, row_number() OVER by_version AS expected_number, lead(valid_from) OVER by_version AS next_from
    FROM {batch}
    WINDOW by_version AS (PARTITION BY team_id ORDER BY version_number)
) AS followed
WHERE version_number <> expected_number OR valid_to IS DISTINCT FROM next_from
