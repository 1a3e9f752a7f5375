-- Create roles and databases, and grant rights on databases. psql runs this file as the superuser at each start, so
-- every statement must be repeatable. Schemas, tables and their grants are in infra/migrations.

-- Do not log the text of failing and slow statements, which may contain passwords.
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
SET log_statement = none;

\getenv owner_password OKR_PG_OWNER_PASSWORD
\getenv loader_password OKR_PG_LOADER_PASSWORD
\getenv landing_password OKR_PG_LANDING_PASSWORD
\getenv metrics_password OKR_PG_METRICS_PASSWORD
\getenv transform_password OKR_PG_TRANSFORM_PASSWORD
\getenv serving_password OKR_PG_SERVING_PASSWORD
\getenv organisation_password OKR_PG_ORGANISATION_PASSWORD
\getenv backup_password OKR_PG_BACKUP_PASSWORD
\getenv airflow_password OKR_PG_AIRFLOW_PASSWORD
\getenv mlflow_password OKR_PG_MLFLOW_PASSWORD

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', wanted.role)
FROM (VALUES ('okr_owner'), ('okr_loader'), ('okr_landing'), ('okr_metrics'), ('okr_transform'), ('okr_serving'),
  ('okr_organisation'), ('okr_backup'), ('airflow'), ('mlflow')) AS wanted (role)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.role)
\gexec

-- The members of okr_analyst are the logins of analysts (infra/analysts). The members of okr_service are the platform's
-- own roles. The first migrations name the local stack's login `analyst`, which on a server stays without a login.
SELECT format('CREATE ROLE %I NOLOGIN', wanted.role)
FROM (VALUES ('okr_analyst'), ('okr_service'), ('analyst')) AS wanted (role)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.role)
\gexec

ALTER ROLE okr_owner PASSWORD :'owner_password';
ALTER ROLE okr_loader PASSWORD :'loader_password';
ALTER ROLE okr_landing PASSWORD :'landing_password';
ALTER ROLE okr_metrics PASSWORD :'metrics_password';
ALTER ROLE okr_transform PASSWORD :'transform_password';
ALTER ROLE okr_serving PASSWORD :'serving_password' CONNECTION LIMIT 60;
ALTER ROLE okr_organisation PASSWORD :'organisation_password' CONNECTION LIMIT 60;
ALTER ROLE okr_backup PASSWORD :'backup_password' CONNECTION LIMIT 10;
ALTER ROLE airflow PASSWORD :'airflow_password';
ALTER ROLE mlflow PASSWORD :'mlflow_password';

-- The API's login for accounts of one organisation: row-level security restricts it to the organisation that its
-- transaction names (ADR 30).
ALTER ROLE okr_organisation NOBYPASSRLS;
ALTER ROLE okr_serving SET statement_timeout = '30s';
ALTER ROLE okr_organisation SET statement_timeout = '30s';
ALTER ROLE okr_organisation SET default_transaction_read_only = on;
-- These limits are for dbt, whose profile cannot set limits. Other clients set their own
-- (lakehouse/connection_limits.py).
ALTER ROLE okr_transform SET statement_timeout = '30min';
ALTER ROLE okr_transform SET lock_timeout = '5min';
ALTER ROLE okr_transform SET idle_in_transaction_session_timeout = '15min';

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C.UTF-8''', name, owner)
FROM (VALUES ('okr', 'okr_owner'), ('airflow', 'airflow'), ('mlflow', 'mlflow')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = wanted.name)
\gexec

REVOKE ALL ON DATABASE okr, airflow, mlflow, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE okr TO okr_loader, okr_landing, okr_metrics, okr_serving, okr_organisation, okr_backup;
GRANT TEMPORARY ON DATABASE okr TO okr_loader;
-- dbt needs TEMPORARY for temporary tables. Publications need CREATE, because each creates schemas.
GRANT CONNECT, TEMPORARY, CREATE ON DATABASE okr TO okr_transform;
-- Migrations create dbt's schemas and set default privileges for the objects that dbt creates in them.
GRANT okr_transform TO okr_owner;

-- The platform's roles can use reserved_connections, and so can always connect, however many sessions analysts open.
GRANT pg_use_reserved_connections
    TO okr_owner, okr_loader, okr_landing, okr_metrics, okr_transform, okr_serving, okr_organisation, okr_backup, airflow,
    mlflow;

-- The expected password of each analyst's login. Only the superuser can connect to this database.
CREATE SCHEMA IF NOT EXISTS okr_admin;
CREATE TABLE IF NOT EXISTS okr_admin.analyst_login (
    role text PRIMARY KEY,
    verifier text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE okr_admin.analyst_login IS 'Grain: one login of an analyst. A role can change its own password; the guard resets it to this one.';

\connect okr
GRANT okr_service TO okr_owner, okr_loader, okr_transform, okr_serving, okr_organisation, okr_backup;

-- The role of backups (infra/backup) copies the files of the cluster, so it can read everything anyway; it changes nothing.
-- A restore point is a mark in the write-ahead log at which the lake and the warehouse agree.
ALTER ROLE okr_backup REPLICATION;
GRANT pg_read_all_data TO okr_backup;
-- Only once: a repeated GRANT would write to the function catalogue at each start.
SELECT format('GRANT EXECUTE ON FUNCTION %s TO okr_backup', missing.signature)
FROM (VALUES ('pg_create_restore_point(text)'), ('pg_switch_wal()')) AS missing (signature)
WHERE NOT has_function_privilege('okr_backup', missing.signature, 'EXECUTE')
\gexec

\ir ../analysts/analyst_rights.sql
