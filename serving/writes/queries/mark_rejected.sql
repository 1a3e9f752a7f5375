-- Records why a request's events were permanently rejected.
UPDATE serving.write_request
SET rejected_because = %(reason)s
WHERE request_id = %(request_id)s
RETURNING request_id
