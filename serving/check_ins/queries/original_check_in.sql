-- Returns at most one row: a check-in as this API or another source first recorded it.
SELECT key_result_id, occurred_at
FROM (
    SELECT 1 AS preference, key_result_id, occurred_at
    FROM api.check_in_request
    WHERE check_in_id = %(check_in_id)s AND operation = 'record'
    UNION ALL
    SELECT 2, key_result_id, checked_in_at
    FROM app.check_ins
    WHERE check_in_id = %(check_in_id)s
) AS known
ORDER BY preference
LIMIT 1
