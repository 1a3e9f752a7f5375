-- So that an address can pass from one user to another: uniqueness is checked row by row.
UPDATE app.users
SET email = user_id::text || '@superseded.invalid'
WHERE user_id = any(%(ids)s)
