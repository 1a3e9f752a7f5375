-- Grain: at most one row, the cycle that a closing check-in at a given time closes, for a key result in several cycles.
-- If the key result was carried over without having been closed, this is the earlier cycle, until days_to_close after
-- its end (at most half of the new cycle, ADR 19). Otherwise it is the key result's cycle at that time.
-- No row if the key result was archived at that time, because a check-in then does not close it.
WITH counted AS (
    SELECT
        kept.cycle_id,
        cycle.name,
        cycle.starts_on,
        cycle.ends_on,
        kept.is_closed_by_check_in,
        kept.is_archived,
        kept.archived_at,
        kept.opened_at,
        kept.left_at,
        row_number() OVER (ORDER BY kept.opened_at) AS place
    FROM app.key_result_cycles AS kept
    INNER JOIN app.cycles AS cycle ON kept.cycle_id = cycle.cycle_id
    WHERE kept.key_result_id = %(key_result_id)s
)

SELECT
    closed.closes_before,
    CASE WHEN closed.closes_before THEN past.cycle_id ELSE present.cycle_id END AS closes_cycle_id,
    CASE WHEN closed.closes_before THEN past.name ELSE present.name END AS closes_cycle,
    CASE WHEN closed.closes_before THEN present.name ELSE past.name END AS other_cycle
FROM counted AS present
INNER JOIN counted AS past ON present.place = past.place + 1
CROSS JOIN LATERAL (
    SELECT
        past.left_at = present.opened_at AND NOT past.is_closed_by_check_in AND NOT past.is_archived
        AND (%(at)s::timestamptz AT TIME ZONE 'UTC')::date
        <= past.ends_on + least(%(days_to_close)s::integer, (present.ends_on - present.starts_on + 1) / 2) AS closes_before
) AS closed
WHERE
    present.opened_at <= %(at)s AND (present.left_at IS NULL OR present.left_at > %(at)s)
    AND (present.archived_at IS NULL OR present.archived_at > %(at)s)
