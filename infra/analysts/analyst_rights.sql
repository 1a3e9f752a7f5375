-- The rights of the group okr_analyst on the warehouse's database and on functions and languages.
-- infra/local/postgres_bootstrap.sql runs this file at each start. What else makes up an analyst's rights:
-- * reading marts: default privileges in infra/migrations/versions/0015_analysts_read_marts.sql, and
--   lakehouse/publishing/restored_grants.py for re-created views;
-- * reading the rows of one organisation only: policies in
--   infra/migrations/versions/0048_analysts_and_accounts_read_own_organisation.sql, restrict_login_to_organisation.sql;
-- * membership in the group, settings and the number of connections: logins.py.

GRANT CONNECT ON DATABASE okr TO okr_analyst;

\ir restricted_functions.sql

-- Skip functions whose rights are already revoked. Changing a hundred catalogue rows at each start would bloat the
-- catalogue.
SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', signature)
FROM restricted_function
WHERE has_function_privilege('okr_analyst', signature, 'EXECUTE')
UNION ALL
SELECT format('GRANT EXECUTE ON FUNCTION %s TO okr_service', signature)
FROM restricted_function
WHERE NOT has_function_privilege('okr_service', signature, 'EXECUTE')
   OR has_function_privilege('okr_analyst', signature, 'EXECUTE')
ORDER BY 1 DESC
\gexec

-- DO can run arbitrary code, in which an endless loop would count as a single statement.
REVOKE USAGE ON LANGUAGE plpgsql, sql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql, sql TO okr_service;
