-- name: key_result_exists
-- expect: each key result is in dim_key_result
SELECT DISTINCT key_result_id FROM {batch}
EXCEPT
SELECT key_result_id FROM dim_key_result WHERE is_current

-- name: nothing_after_the_data
-- expect: no day is later than data_as_of
SELECT key_result_id, day, data_as_of
FROM {batch} AS built CROSS JOIN int_data_as_of
WHERE day > (data_as_of AT TIME ZONE 'UTC')::date

-- name: every_day_has_its_row
-- expect: a key result has one row for each day at the end of which it was in the cycle and not archived
SELECT key_result_id, cycle_id, expected.days AS expected_days, found.days
FROM (
    SELECT
        placement.key_result_id,
        placement.cycle_id,
        sum(
            least(placement.to_day, cycle.cycle_end, last_day) - greatest(placement.from_day, cycle.cycle_start) + 1
        ) AS days
    FROM int_key_result_placement AS placement
    INNER JOIN int_cycle AS cycle ON placement.cycle_id = cycle.cycle_id
    CROSS JOIN (SELECT (data_as_of AT TIME ZONE 'UTC')::date AS last_day FROM int_data_as_of) AS log
    WHERE
        NOT placement.is_archived
        AND greatest(placement.from_day, cycle.cycle_start) <= least(placement.to_day, cycle.cycle_end, last_day)
    GROUP BY placement.key_result_id, placement.cycle_id
) AS expected
FULL JOIN (
    SELECT key_result_id, cycle_id, count(*) AS days FROM {batch} GROUP BY key_result_id, cycle_id
) AS found USING (key_result_id, cycle_id)
WHERE found.days IS DISTINCT FROM expected.days
