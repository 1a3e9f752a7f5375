#!/bin/sh
# One-shot job: create PostgreSQL's roles and databases, or set their passwords again, in the image of PostgreSQL.
set -eu
for file in /run/secrets/okr_pg_*_password; do
  name=$(basename "$file" | tr '[:lower:]' '[:upper:]')
  export "$name=$(cat "$file")"
done
export PGHOST="${OKR_POSTGRES_HOST:-postgres}" PGUSER=postgres PGDATABASE=postgres PGPASSWORD="$OKR_PG_SUPERUSER_PASSWORD"
export PGSSLMODE=verify-full PGSSLROOTCERT=/etc/okr/tls/ca.crt PGOPTIONS='-c client_min_messages=warning'
exec psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file=/bootstrap/local/postgres_bootstrap.sql
