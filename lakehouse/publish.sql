-- Swap everything readers see, in the caller's transaction. A rename takes no lock on the tables, so running queries
-- finish on what they began with and the next statement sees the new publication whole.
ALTER SCHEMA marts RENAME TO {retired_marts};
ALTER SCHEMA ml RENAME TO {retired_ml};
ALTER SCHEMA {incoming_marts} RENAME TO marts;
ALTER SCHEMA {incoming_ml} RENAME TO ml;
GRANT USAGE ON SCHEMA marts TO okr_analyst, okr_serving;
GRANT USAGE ON SCHEMA ml TO okr_serving;
GRANT SELECT ON ALL TABLES IN SCHEMA marts TO okr_analyst, okr_serving;
GRANT SELECT ON ALL TABLES IN SCHEMA ml TO okr_serving;
REVOKE ALL ON SCHEMA {retired_marts} FROM okr_analyst, okr_serving;
REVOKE ALL ON SCHEMA {retired_ml} FROM okr_serving;
REVOKE ALL ON ALL TABLES IN SCHEMA {retired_marts} FROM okr_analyst, okr_serving;
REVOKE ALL ON ALL TABLES IN SCHEMA {retired_ml} FROM okr_serving;
COMMENT ON SCHEMA marts IS 'What analysts, API and page read; replaced as a whole by each publication.';
