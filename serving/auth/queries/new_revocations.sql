-- Grain: one revocation by a transaction that had not ended at the previous call; if there is none, one row with null
-- columns. horizon: the oldest transaction that is still running, which is the parameter of the next call.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon, recent.kind, recent.subject, recent.credential_version
FROM (SELECT 1) AS one
LEFT JOIN auth.revocation AS recent ON recent.transaction_id >= %(horizon)s::xid8
