-- Records that a request's events are on disk, and whether the broker has acknowledged them.
UPDATE serving.write_request
SET
    persisted_at = coalesce(persisted_at, now()),
    is_acknowledged = is_acknowledged OR %(is_acknowledged)s,
    rejected_because = NULL
WHERE request_id = %(request_id)s
RETURNING request_id
