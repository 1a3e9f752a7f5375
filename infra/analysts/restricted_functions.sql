-- The functions that analysts may not call, as a temporary view of this session. analyst_rights.sql revokes the rights, and
-- `okr installation audit` checks them.
--
-- By default, every role can call these functions, which are not needed to read marts. They can take locks that
-- publishing and loading would wait for, write large objects or write-ahead log, use up transaction ids, make a
-- session sleep, or end other sessions of the same login.
CREATE TEMPORARY VIEW restricted_function AS
SELECT oid::regprocedure AS signature
FROM pg_proc
WHERE
    pronamespace = 'pg_catalog'::regnamespace
    AND prokind = 'f'
    AND (
        proname ~ '^pg_(try_)?advisory_'
        OR proname ~ '^lo_'
        OR proname ~ '^pg_sleep'
        OR proname ~ '^binary_upgrade_'
        OR proname ~ '^pg_.*_slot'
        OR proname ~ '^pg_(clear|restore)_(relation|attribute)_stats$'
        OR proname IN (
            'loread', 'lowrite', 'pg_notify', 'pg_export_snapshot', 'pg_logical_emit_message', 'pg_current_xact_id',
            'txid_current', 'pg_cancel_backend', 'pg_terminate_backend', 'pg_sync_replication_slots',
            'pg_import_system_collations', 'pg_nextoid', 'brin_summarize_new_values', 'brin_summarize_range',
            'brin_desummarize_range', 'gin_clean_pending_list'
        )
    );
