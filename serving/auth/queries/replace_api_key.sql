-- Records that another key replaces a key, and ends it at the given time unless it expires before.
UPDATE auth.api_key
SET replaced_by = %(replaced_by)s, expires_at = least(expires_at, %(ends_at)s)
WHERE prefix = %(prefix)s
RETURNING prefix
