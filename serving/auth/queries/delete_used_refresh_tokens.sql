-- Deletes the oldest used refresh tokens of a login, so that at most `most` used ones are kept.
DELETE FROM auth.refresh_token
WHERE
    family_id = %(family_id)s
    AND token_hash IN (
        SELECT used.token_hash
        FROM auth.refresh_token AS used
        WHERE used.family_id = %(family_id)s AND used.used_at IS NOT NULL
        ORDER BY used.used_at DESC, used.issued_at DESC
        OFFSET %(most)s
    )
RETURNING family_id
