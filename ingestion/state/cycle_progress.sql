-- Return the weighted mean score (progress clipped to 0-1) of each cycle's key results. A key result without a check-in
-- has the score 0. Archived key results are excluded. A key result that was carried over to the next cycle is still
-- included in the previous one.
SELECT
    counted.cycle_id,
    round(
        (sum(counted.weight * least(1, greatest(0, coalesce(counted.progress, 0)))) / sum(counted.weight))::numeric, 4
    ) AS ratio
FROM app.key_result_cycles AS counted
INNER JOIN app.okrs AS okrs USING (key_result_id)
WHERE counted.cycle_id IS NOT NULL AND NOT counted.is_archived
GROUP BY counted.cycle_id
