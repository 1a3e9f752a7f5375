-- Databases, roles and what they may do to databases; run by psql as the superuser at each start, so it can be repeated.
-- Schemas, tables and their grants belong to infra/migrations.

SET log_min_error_statement = panic;  -- a failing statement here would write a password into the server's log

\getenv owner_password OKR_PG_OWNER_PASSWORD
\getenv loader_password OKR_PG_LOADER_PASSWORD
\getenv transform_password OKR_PG_TRANSFORM_PASSWORD
\getenv serving_password OKR_PG_SERVING_PASSWORD
\getenv analyst_password OKR_PG_ANALYST_PASSWORD
\getenv airflow_password OKR_PG_AIRFLOW_PASSWORD
\getenv mlflow_password OKR_PG_MLFLOW_PASSWORD

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', wanted.role)
FROM (VALUES ('okr_owner'), ('okr_loader'), ('okr_transform'), ('okr_serving'), ('analyst'), ('airflow'), ('mlflow'))
  AS wanted (role)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.role)
\gexec

ALTER ROLE okr_owner PASSWORD :'owner_password';
ALTER ROLE okr_loader PASSWORD :'loader_password';
ALTER ROLE okr_transform PASSWORD :'transform_password';
ALTER ROLE okr_serving PASSWORD :'serving_password' CONNECTION LIMIT 60;
ALTER ROLE analyst PASSWORD :'analyst_password' CONNECTION LIMIT 20;
ALTER ROLE airflow PASSWORD :'airflow_password';
ALTER ROLE mlflow PASSWORD :'mlflow_password';

-- An analyst's query may be heavy, but never blocks a publication for long.
ALTER ROLE analyst SET default_transaction_read_only = on;
ALTER ROLE analyst SET statement_timeout = '120s';
ALTER ROLE analyst SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE analyst SET search_path = marts;
ALTER ROLE okr_serving SET statement_timeout = '30s';

SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8'' LOCALE ''C.UTF-8''', name, owner)
FROM (VALUES ('okr', 'okr_owner'), ('airflow', 'airflow'), ('mlflow', 'mlflow')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = wanted.name)
\gexec

REVOKE ALL ON DATABASE okr, airflow, mlflow, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE okr TO okr_loader, okr_serving, analyst;
GRANT TEMPORARY ON DATABASE okr TO okr_loader;
-- dbt makes temporary tables; a publication renames schemas, for which their owner needs CREATE.
GRANT CONNECT, TEMPORARY, CREATE ON DATABASE okr TO okr_transform;
-- Migrations make dbt's schemas and grant what dbt will make in them.
GRANT okr_transform TO okr_owner;
