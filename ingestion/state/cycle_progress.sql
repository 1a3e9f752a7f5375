-- Mean score (progress clipped to 0-1) of a cycle's key results by their weights; one without a check-in counts as 0, an
-- archived one not at all, and one that was carried into the next cycle still counts in the one that it left.
SELECT
    counted.cycle_id,
    round(
        (sum(counted.weight * least(1, greatest(0, coalesce(counted.progress, 0)))) / sum(counted.weight))::numeric, 4
    ) AS ratio
FROM app.key_result_cycles AS counted
INNER JOIN app.okrs AS okrs USING (key_result_id)
WHERE counted.cycle_id IS NOT NULL AND NOT counted.is_archived
GROUP BY counted.cycle_id
