-- Grain: one row per published key result of an organisation.
SELECT DISTINCT key_result_id
FROM marts.mart_okr_scorecard
WHERE team_id IN (
    SELECT team_id FROM marts.dim_team WHERE is_current AND organisation_id = %(visible_organisation_id)s
)
