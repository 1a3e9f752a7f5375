-- Stores a refresh token. It expires after life_s seconds, and at the latest family_life_s seconds after the login.
INSERT INTO auth.refresh_token (token_hash, family_id, username, credential_version, logged_in_at, expires_at)
VALUES (
    %(token_hash)s,
    %(family_id)s,
    %(username)s,
    %(version)s,
    coalesce(%(logged_in_at)s::timestamptz, now()),
    least(
        now() + make_interval(secs => %(life_s)s),
        coalesce(%(logged_in_at)s::timestamptz, now()) + make_interval(secs => %(family_life_s)s)
    )
)
RETURNING family_id, extract(epoch FROM expires_at - now()) AS expires_in_s
