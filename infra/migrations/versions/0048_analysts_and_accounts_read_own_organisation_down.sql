-- Revert 0048_analysts_and_accounts_read_own_organisation.sql.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT policy.polname AS name, policy.polrelid::regclass AS on_table
        FROM pg_policy AS policy
        INNER JOIN pg_class AS relation ON policy.polrelid = relation.oid
        INNER JOIN pg_namespace AS namespace ON relation.relnamespace = namespace.oid
        WHERE
            namespace.nspname IN ('marts_store', 'ml_store')
            OR policy.polrelid IN (
                'auth.account'::regclass, 'auth.api_key'::regclass, 'serving.write_request'::regclass,
                'serving.written_event'::regclass, 'api.check_in_request'::regclass
            )
    LOOP
        EXECUTE format('DROP POLICY %I ON %s', one.name, one.on_table);
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', one.on_table);
    END LOOP;
END
$$;
REVOKE SELECT ON auth.account, auth.api_key, serving.write_request, serving.written_event, api.check_in_request
FROM okr_organisation;
REVOKE EXECUTE ON FUNCTION serving.event_progress FROM okr_organisation;
ALTER DEFAULT PRIVILEGES FOR ROLE okr_transform IN SCHEMA marts REVOKE SELECT ON TABLES FROM okr_organisation;
REVOKE SELECT ON ALL TABLES IN SCHEMA marts FROM okr_organisation;
REVOKE USAGE ON SCHEMA api, auth, marts, serving FROM okr_organisation;
DROP VIEW api.defined_key_result_cycle, api.defined_key_result;
ALTER TABLE serving.write_request DROP COLUMN organisation_id;
ALTER TABLE api.check_in_request DROP COLUMN organisation_id;
DROP FUNCTION serving.reader_organisation();
DROP FUNCTION publishing.restrict_readers(regclass);
DROP FUNCTION publishing.reader_kind();
DROP FUNCTION publishing.reader_organisation();
DROP TABLE publishing.analyst_organisation;
