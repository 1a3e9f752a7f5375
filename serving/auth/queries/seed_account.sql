-- Creates one of the first accounts, or sets its password from the settings. Sessions and tokens then end. Returns no
-- row if the account was created or changed since it had checked_version (null: it did not exist).
WITH seeded AS (
    INSERT INTO auth.account AS known (username, role, plan, password_hash, seed_hash)
    VALUES (%(username)s, %(role)s, %(plan)s, %(password_hash)s, %(password_hash)s)
    ON CONFLICT (username) DO UPDATE SET
        password_hash = excluded.password_hash,
        seed_hash = excluded.seed_hash,
        password_changed_at = now(),
        password_expires_at = NULL,
        credential_version = known.credential_version + 1
    WHERE known.credential_version = %(checked_version)s::integer
    RETURNING username, credential_version
)
INSERT INTO auth.revocation (kind, subject, credential_version)
SELECT 'account', username, credential_version FROM seeded
RETURNING revocation_id
