-- Mean score (progress clipped to 0-1) of a cycle's key results by their weights; one without a check-in counts as 0.
SELECT
    okrs.cycle_id,
    round(
        (sum(key_result.weight * least(1, greatest(0, coalesce(okrs.progress, 0)))) / sum(key_result.weight))::numeric, 4
    ) AS ratio
FROM app.okrs AS okrs
INNER JOIN app.key_results AS key_result USING (key_result_id)
WHERE okrs.cycle_id IS NOT NULL
GROUP BY okrs.cycle_id
