-- Of app.event, where names and e-mail addresses are, the API needs who a check-in is by and which event first told of it.
CREATE VIEW api.logged_check_in WITH (security_barrier) AS
SELECT
    entity_id AS check_in_id,
    event_id,
    data ->> 'user_id' AS user_id,
    data ->> 'organisation_id' AS organisation_id,
    logged_at,
    kafka_partition,
    kafka_offset
FROM app.event
WHERE event_type = 'okr.check_in.recorded.v1';
COMMENT ON VIEW api.logged_check_in IS 'Events of check-ins that the state tables have read: what the API needs of them.';
REVOKE SELECT ON app.event FROM okr_serving;
GRANT SELECT ON api.logged_check_in TO okr_serving;

-- Requests are deleted after a time (ingestion/maintenance), by the role that keeps the state tables.
CREATE INDEX check_in_request_received_at ON api.check_in_request (received_at);
GRANT USAGE ON SCHEMA api TO okr_loader;
GRANT SELECT, DELETE ON api.check_in_request TO okr_loader;
