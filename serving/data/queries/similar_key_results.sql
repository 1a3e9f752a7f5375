-- Grain: one row per key result id that starts or ends like an unknown id, or contains it. At most 2,000 rows are
-- returned; serving/suggestions.py compares them with the unknown id character by character.
SELECT DISTINCT key_result_id
FROM marts.mart_okr_scorecard
WHERE (
    lower(left(key_result_id, 3)) = lower(left(%(wanted)s, 3))
    OR lower(right(key_result_id, 4)) = lower(right(%(wanted)s, 4))
    OR position(lower(%(wanted)s) IN lower(key_result_id)) > 0
)
AND (
    %(visible_organisation_id)s::text IS NULL
    OR team_id IN (
        SELECT team.team_id
        FROM marts.dim_team AS team
        WHERE team.is_current AND team.organisation_id = %(visible_organisation_id)s
    )
)
ORDER BY key_result_id
LIMIT 2000
