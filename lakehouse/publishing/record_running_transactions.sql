-- Run this after the switch was committed. Every older snapshot then belongs to one of these transactions.
UPDATE publishing.switch
SET readers = ARRAY(
    SELECT l.virtualxid
    FROM pg_locks AS l
    JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.locktype = 'virtualxid' AND a.datname = current_database() AND l.pid <> pg_backend_pid()
)
WHERE readers IS NULL
