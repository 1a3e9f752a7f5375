-- Row-level security by organisation (ADR 30). The API's login okr_organisation reads only rows of the organisation that
-- its transaction names in okr.organisation_id, and none without that setting. It can read only what is granted here.

-- Who may read what of the marts. session_user, because no login can change it.
SET LOCAL ROLE okr_transform;
CREATE TABLE publishing.analyst_organisation (
    login name PRIMARY KEY,
    organisation_id text NOT NULL
);
COMMENT ON TABLE publishing.analyst_organisation IS 'Grain: one analyst''s login that reads only the rows of one organisation. Other analysts read all rows.';
COMMENT ON COLUMN publishing.analyst_organisation.login IS 'The role of the analyst.';
COMMENT ON COLUMN publishing.analyst_organisation.organisation_id IS 'The organisation.';

CREATE FUNCTION publishing.reader_kind() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF session_user = 'okr_organisation'
        OR EXISTS (SELECT FROM publishing.analyst_organisation WHERE login = session_user)
    THEN
        RETURN 'one organisation';
    END IF;
    RETURN 'every organisation';
END
$$;
COMMENT ON FUNCTION publishing.reader_kind IS 'Whether the login reads the rows of one organisation or of every organisation.';

CREATE FUNCTION publishing.reader_organisation() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF session_user = 'okr_organisation' THEN
        RETURN nullif(current_setting('okr.organisation_id', true), '');
    END IF;
    RETURN (SELECT organisation_id FROM publishing.analyst_organisation WHERE login = session_user);
END
$$;
COMMENT ON FUNCTION publishing.reader_organisation IS 'The organisation whose rows a login of the kind one organisation reads; null if its transaction names none.';

-- The views in marts and ml read their tables with the rights of okr_transform, the owner. FORCE makes the policy apply to
-- the owner, too. The comparison with <> makes the planner expect that a reader sees nearly all rows: it expects half of
-- them for a boolean that it does not know. The subqueries are evaluated once for each statement.
CREATE FUNCTION publishing.restrict_readers(store regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    condition text := $text$(SELECT publishing.reader_kind()) <> 'one organisation'$text$;
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = store AND attname = 'organisation_id' AND NOT attisdropped) THEN
        condition := condition || ' OR organisation_id = (SELECT publishing.reader_organisation())';
    END IF;
    EXECUTE format('CREATE POLICY organisation ON %s FOR SELECT USING (%s)', store, condition);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', store);
END
$$;
COMMENT ON FUNCTION publishing.restrict_readers IS 'Restrict the readers of the table behind a view. Readers of one organisation see no row of a mart without the column organisation_id.';
REVOKE EXECUTE ON FUNCTION publishing.restrict_readers FROM PUBLIC;

SELECT publishing.restrict_readers(oid)
FROM pg_class
WHERE relnamespace IN ('marts_store'::regnamespace, 'ml_store'::regnamespace) AND relkind = 'p';
RESET ROLE;

GRANT USAGE ON SCHEMA api, auth, marts, serving TO okr_organisation;
GRANT SELECT ON ALL TABLES IN SCHEMA marts TO okr_organisation;
ALTER DEFAULT PRIVILEGES FOR ROLE okr_transform IN SCHEMA marts GRANT SELECT ON TABLES TO okr_organisation;
GRANT EXECUTE ON FUNCTION serving.event_progress TO okr_organisation;

-- Accounts and API keys, without secrets, of the caller's organisation.
CREATE FUNCTION serving.reader_organisation() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('okr.organisation_id', true), '') $$;
COMMENT ON FUNCTION serving.reader_organisation IS 'The organisation that a transaction of okr_organisation names; null if it names none.';
REVOKE EXECUTE ON FUNCTION serving.reader_organisation FROM PUBLIC;
GRANT EXECUTE ON FUNCTION serving.reader_organisation TO okr_organisation;

GRANT SELECT (
    username, role, organisation_id, user_id, team_ids, plan, created_at, disabled_at, password_changed_at,
    password_expires_at, credential_version
) ON auth.account TO okr_organisation;
ALTER TABLE auth.account ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON auth.account FOR SELECT TO okr_organisation
USING (organisation_id = (SELECT serving.reader_organisation()));
CREATE POLICY installation ON auth.account TO okr_serving USING (true);

GRANT SELECT (
    prefix, username, name, scopes, created_at, created_by, expires_at, revoked_at, last_used_at, replaced_by
) ON auth.api_key TO okr_organisation;
ALTER TABLE auth.api_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON auth.api_key FOR SELECT TO okr_organisation
USING (EXISTS (SELECT FROM auth.account WHERE account.username = api_key.username));
CREATE POLICY installation ON auth.api_key TO okr_serving USING (true);

-- Requests belong to the organisation of the account that sent them.
ALTER TABLE serving.write_request ADD COLUMN organisation_id text;
COMMENT ON COLUMN serving.write_request.organisation_id IS 'The organisation of the account; null for accounts of the installation.';
UPDATE serving.write_request AS request
SET organisation_id = account.organisation_id
FROM auth.account
WHERE request.username = account.username AND account.organisation_id IS NOT NULL;
GRANT SELECT ON serving.write_request TO okr_organisation;
ALTER TABLE serving.write_request ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON serving.write_request FOR SELECT TO okr_organisation
USING (organisation_id = (SELECT serving.reader_organisation()));
CREATE POLICY installation ON serving.write_request TO okr_serving, okr_loader USING (true);

GRANT SELECT ON serving.written_event TO okr_organisation;
ALTER TABLE serving.written_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON serving.written_event FOR SELECT TO okr_organisation
USING (EXISTS (SELECT FROM serving.write_request AS request WHERE request.request_id = written_event.request_id));
CREATE POLICY installation ON serving.written_event TO okr_serving, okr_loader USING (true);

ALTER TABLE api.check_in_request ADD COLUMN organisation_id text;
COMMENT ON COLUMN api.check_in_request.organisation_id IS 'The organisation of the account; null for accounts of the installation.';
UPDATE api.check_in_request AS request
SET organisation_id = account.organisation_id
FROM auth.account
WHERE request.username = account.username AND account.organisation_id IS NOT NULL;
GRANT SELECT ON api.check_in_request TO okr_organisation;
ALTER TABLE api.check_in_request ENABLE ROW LEVEL SECURITY;
CREATE POLICY organisation ON api.check_in_request FOR SELECT TO okr_organisation
USING (organisation_id = (SELECT serving.reader_organisation()));
CREATE POLICY installation ON api.check_in_request TO okr_serving, okr_loader USING (true);

-- What check-ins need of the state tables, of the caller's organisation.
CREATE VIEW api.defined_key_result WITH (security_barrier) AS
SELECT
    key_result.key_result_id,
    team.organisation_id,
    key_result.title,
    key_result.unit,
    key_result.baseline,
    key_result.target
FROM app.key_results AS key_result
LEFT JOIN app.objectives AS objective ON key_result.objective_id = objective.objective_id
LEFT JOIN app.teams AS team ON objective.team_id = team.team_id
WHERE
    session_user <> 'okr_organisation'
    OR team.organisation_id = nullif(current_setting('okr.organisation_id', true), '');
COMMENT ON VIEW api.defined_key_result IS 'Grain: one key result in its newest definition in the state tables.';

CREATE VIEW api.defined_key_result_cycle WITH (security_barrier) AS
SELECT
    key_result_cycle.key_result_id,
    team.organisation_id,
    key_result_cycle.cycle_id,
    cycle.name AS cycle_name,
    cycle.starts_on,
    cycle.ends_on,
    key_result_cycle.is_current,
    key_result_cycle.is_closed_by_check_in,
    key_result_cycle.is_archived,
    key_result_cycle.archived_at,
    key_result_cycle.opened_at,
    key_result_cycle.left_at
FROM app.key_result_cycles AS key_result_cycle
INNER JOIN app.key_results AS key_result ON key_result_cycle.key_result_id = key_result.key_result_id
LEFT JOIN app.objectives AS objective ON key_result.objective_id = objective.objective_id
LEFT JOIN app.teams AS team ON objective.team_id = team.team_id
LEFT JOIN app.cycles AS cycle ON key_result_cycle.cycle_id = cycle.cycle_id
WHERE
    session_user <> 'okr_organisation'
    OR team.organisation_id = nullif(current_setting('okr.organisation_id', true), '');
COMMENT ON VIEW api.defined_key_result_cycle IS 'Grain: one key result and a cycle in which it counts, in the state tables.';
GRANT SELECT ON api.defined_key_result, api.defined_key_result_cycle TO okr_organisation, okr_serving;
