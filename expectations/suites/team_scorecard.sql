-- name: key_results_add_up
-- expect: the key result counts of all teams add up to the key results in the scorecard that are not archived
SELECT in_teams, in_scorecard
FROM (SELECT coalesce(sum(key_result_count), 0) AS in_teams FROM {batch}) AS t
CROSS JOIN (SELECT count(*) AS in_scorecard FROM mart_okr_scorecard WHERE NOT is_archived) AS s
WHERE in_teams <> in_scorecard
