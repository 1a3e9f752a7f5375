-- name: only_closed_have_an_outcome
-- expect: key_result_outcome contains exactly those closed key results of the scorecard that have a cycle
SELECT key_result_id, o.is_achieved AS in_outcome, s.is_achieved AS in_scorecard
FROM {batch} AS o
FULL JOIN (SELECT * FROM mart_okr_scorecard WHERE is_closed AND cycle_start IS NOT NULL) AS s USING (key_result_id, cycle_id)
WHERE o.is_achieved IS DISTINCT FROM s.is_achieved
