-- Grain: one revocation by a transaction that was not yet finished at the horizon of the previous call; at least one
-- row, with null columns if there is none. horizon: the oldest transaction that is still running.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon, recent.kind, recent.subject, recent.credential_version
FROM (SELECT 1) AS one
LEFT JOIN auth.revocation AS recent ON recent.transaction_id >= %(horizon)s::xid8
