-- name: key_results_add_up
-- expect: the teams' key results are all those of the scorecard that are not archived
SELECT of_teams, of_scorecard
FROM (SELECT coalesce(sum(key_result_count), 0) AS of_teams FROM {batch}) AS t
CROSS JOIN (SELECT count(*) AS of_scorecard FROM mart_okr_scorecard WHERE NOT is_archived) AS s
WHERE of_teams <> of_scorecard

-- name: shares_are_shares
-- expect: attainment and rates are 0-1
SELECT team_id, cycle_id, attainment_ratio, achieved_ratio, on_track_ratio
FROM {batch}
WHERE attainment_ratio NOT BETWEEN 0 AND 1 OR achieved_ratio NOT BETWEEN 0 AND 1 OR on_track_ratio NOT BETWEEN 0 AND 1

-- name: calibration_needs_five
-- expect: calibration is shown only of teams with at least five closed key results
SELECT team_id, cycle_id, closed_count
FROM {batch} WHERE overconfidence_ratio IS NOT NULL AND closed_count < 5
