-- Grain: one row per id or name, current or former, of the requested entity type that the caller may see.
WITH visible_team AS (
    SELECT team_id
    FROM marts.dim_team
    WHERE is_current AND (%(visible_organisation_id)s::text IS NULL OR organisation_id = %(visible_organisation_id)s)
),

visible_key_result AS (
    SELECT key_result_id, team_id, team_name, cycle_id, cycle_name, organisation
    FROM marts.mart_okr_scorecard
    WHERE %(visible_organisation_id)s::text IS NULL OR team_id IN (SELECT team_id FROM visible_team)
),

visible_cycle AS (
    SELECT cycle_id, name, organisation_id
    FROM marts.dim_cycle
    WHERE
        %(visible_organisation_id)s::text IS NULL
        OR cycle_id IN (
            SELECT cycle_id FROM marts.dim_cycle WHERE is_current AND organisation_id = %(visible_organisation_id)s
        )
)

SELECT unnest(ARRAY[team_id, name]) AS name
FROM marts.dim_team
WHERE %(entity_type)s = 'team' AND team_id IN (SELECT team_id FROM visible_team)
UNION
SELECT unnest(ARRAY[team_id, team_name]) FROM visible_key_result WHERE %(entity_type)s = 'team'
UNION
SELECT unnest(ARRAY[cycle_id, name]) FROM visible_cycle WHERE %(entity_type)s = 'cycle'
UNION
SELECT unnest(ARRAY[cycle_id, cycle_name]) FROM visible_key_result WHERE %(entity_type)s = 'cycle'
UNION
SELECT organisation FROM visible_key_result WHERE %(entity_type)s = 'organisation'
UNION
SELECT unnest(ARRAY[organisation_id, organisation_name])
FROM marts.dim_team
WHERE %(entity_type)s = 'organisation' AND team_id IN (SELECT team_id FROM visible_team)
UNION
SELECT organisation_id
FROM visible_cycle
WHERE
    %(entity_type)s = 'organisation'
    AND (%(visible_organisation_id)s::text IS NULL OR organisation_id = %(visible_organisation_id)s)
UNION
SELECT objective_id
FROM marts.dim_objective
WHERE
    %(entity_type)s = 'objective'
    AND is_current
    AND (%(visible_organisation_id)s::text IS NULL OR team_id IN (SELECT team_id FROM visible_team))
UNION
SELECT key_result_id FROM visible_key_result WHERE %(entity_type)s = 'key_result'
UNION
SELECT user_id
FROM marts.dim_user
WHERE
    %(entity_type)s = 'user'
    AND is_current
    AND (%(visible_organisation_id)s::text IS NULL OR team_id IN (SELECT team_id FROM visible_team))
UNION
SELECT user_id
FROM marts.fct_user_activity_daily
WHERE
    %(entity_type)s = 'user'
    AND (%(is_of_organisation)s OR user_id = %(own_user_id)s OR team_id = ANY(%(led_team_ids)s::text []))
    AND (%(visible_organisation_id)s::text IS NULL OR team_id IN (SELECT team_id FROM visible_team))
