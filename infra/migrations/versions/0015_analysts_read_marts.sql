-- Logins of analysts are members of okr_analyst, which the bootstrap makes; it alone is granted anything.
GRANT USAGE ON SCHEMA marts TO okr_analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA marts TO okr_analyst;
ALTER DEFAULT PRIVILEGES FOR ROLE okr_transform IN SCHEMA marts GRANT SELECT ON TABLES TO okr_analyst;

REVOKE ALL ON SCHEMA marts FROM analyst;
REVOKE ALL ON ALL TABLES IN SCHEMA marts FROM analyst;
ALTER DEFAULT PRIVILEGES FOR ROLE okr_transform IN SCHEMA marts REVOKE ALL ON TABLES FROM analyst;
DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM analyst', current_database()); END $$;
