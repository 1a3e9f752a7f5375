-- Deletes what no longer has an effect: old revocations, expired refresh tokens and signing keys, and addresses from
-- which no one has logged in for 90 days. Refresh tokens are kept for 7 days, so that their reuse is still detected.
WITH revocations AS (
    DELETE FROM auth.revocation WHERE revoked_at < now() - interval '1 hour' RETURNING revocation_id
),
tokens AS (
    DELETE FROM auth.refresh_token WHERE expires_at < now() - interval '7 days' RETURNING family_id
),
keys AS (
    DELETE FROM auth.signing_key WHERE verifies_until < now() - interval '1 day' RETURNING kid
),
clients AS (
    DELETE FROM auth.known_client WHERE last_login_at < now() - interval '90 days' RETURNING username
)
SELECT
    (SELECT count(*) FROM revocations) AS revocations,
    (SELECT count(*) FROM tokens) AS refresh_tokens,
    (SELECT count(*) FROM keys) AS signing_keys,
    (SELECT count(*) FROM clients) AS clients
