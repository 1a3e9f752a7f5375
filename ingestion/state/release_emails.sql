-- Free the addresses first, because uniqueness is checked row by row when an address passes to another user.
UPDATE app.users
SET email = user_id::text || '@superseded.invalid'
WHERE user_id = any(%(ids)s)
