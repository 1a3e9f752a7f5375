-- Records that a request's event is on disk, and whether the broker has acknowledged it.
UPDATE api.check_in_request
SET kept_at = coalesce(kept_at, now()), is_in_log = is_in_log OR %(is_acknowledged)s
WHERE request_id = %(request_id)s
RETURNING request_id
