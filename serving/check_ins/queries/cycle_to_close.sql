-- Returns at most one row: the cycle that a closing check-in at the given time closes. There is a row only if the key
-- result counts in several cycles.
-- If the key result was carried over without having been closed, this is the earlier cycle until days_to_close days
-- after its end (at most half of the new cycle, ADR 19). Otherwise, it is the key result's cycle at that time.
-- There is no row if the key result was archived at that time, because the check-in then does not close it.
WITH counted AS (
    SELECT
        cycle_id,
        cycle_name AS name,
        starts_on,
        ends_on,
        is_closed_by_check_in,
        is_archived,
        archived_at,
        opened_at,
        left_at,
        row_number() OVER (ORDER BY opened_at) AS cycle_number
    FROM api.defined_key_result_cycle
    WHERE key_result_id = %(key_result_id)s AND starts_on IS NOT NULL
)

SELECT
    closed.closes_before,
    CASE WHEN closed.closes_before THEN past.cycle_id ELSE present.cycle_id END AS closes_cycle_id,
    CASE WHEN closed.closes_before THEN past.name ELSE present.name END AS closes_cycle,
    CASE WHEN closed.closes_before THEN present.name ELSE past.name END AS other_cycle
FROM counted AS present
INNER JOIN counted AS past ON present.cycle_number = past.cycle_number + 1
CROSS JOIN LATERAL (
    SELECT
        past.left_at = present.opened_at AND NOT past.is_closed_by_check_in AND NOT past.is_archived
        AND (%(at)s::timestamptz AT TIME ZONE 'UTC')::date
        <= past.ends_on + least(%(days_to_close)s::integer, (present.ends_on - present.starts_on + 1) / 2) AS closes_before
) AS closed
WHERE
    present.opened_at <= %(at)s AND (present.left_at IS NULL OR present.left_at > %(at)s)
    AND (present.archived_at IS NULL OR present.archived_at > %(at)s)
