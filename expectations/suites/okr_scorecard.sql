-- name: one_row_per_key_result
-- expect: the scorecard has each key result exactly once in its current cycle
SELECT key_result_id, count(s.key_result_id) AS times
FROM (SELECT key_result_id FROM {batch} WHERE is_current_cycle) AS s
FULL JOIN (SELECT key_result_id FROM dim_key_result WHERE is_current) AS k USING (key_result_id)
GROUP BY key_result_id
HAVING count(s.key_result_id) <> 1 OR count(k.key_result_id) <> 1

-- name: closed_by_a_check_in
-- expect: a key result is closed if it has a closing check-in in the cycle, and otherwise only if the cycle is closed
SELECT s.key_result_id, s.cycle_id, s.is_closed
FROM {batch} AS s
LEFT JOIN (SELECT DISTINCT key_result_id, counted_cycle_id AS cycle_id FROM fct_check_in WHERE is_closing) AS c
    ON s.key_result_id = c.key_result_id AND s.cycle_id IS NOT DISTINCT FROM c.cycle_id
LEFT JOIN dim_cycle AS d ON s.cycle_id = d.cycle_id AND d.is_current
WHERE
    NOT s.is_archived
    AND (
        s.is_closed AND c.key_result_id IS NULL AND d.closed_at IS NULL
        OR NOT s.is_closed AND c.key_result_id IS NOT NULL
    )
