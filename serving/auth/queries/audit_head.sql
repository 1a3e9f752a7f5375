-- Returns one row: the id and hash of the newest event of the audit log (0 and null if there is none), and the time.
SELECT coalesce(newest.event_id, 0) AS event_id, newest.hash, clock_timestamp() AS now
FROM (SELECT 1) AS one
LEFT JOIN (SELECT event_id, hash FROM auth.audit_event ORDER BY event_id DESC LIMIT 1) AS newest ON true
