-- name: key_results_add_up
-- expect: the key result counts of all organisations add up to the key results in the scorecard that are not archived
SELECT in_organisations, in_scorecard
FROM (SELECT coalesce(sum(key_result_count), 0) AS in_organisations FROM {batch}) AS o
CROSS JOIN (SELECT count(*) AS in_scorecard FROM mart_okr_scorecard WHERE NOT is_archived) AS s
WHERE in_organisations <> in_scorecard
