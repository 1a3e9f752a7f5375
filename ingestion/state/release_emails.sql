-- Replace the users' addresses with placeholders before the users are projected. PostgreSQL checks uniqueness row by
-- row, so an address could otherwise not be moved from one user to another in one statement.
UPDATE app.users
SET email = user_id::text || '@superseded.invalid'
WHERE user_id = any(%(ids)s)
