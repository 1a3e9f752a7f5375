ALTER TABLE auth.account ADD COLUMN password_expires_at timestamptz;
COMMENT ON COLUMN auth.account.password_expires_at IS 'Time until which a one-time password can be replaced by a password of the account''s own, UTC; null if the password is not a one-time password. A one-time password cannot be used to log in.';

ALTER TABLE auth.api_key ADD COLUMN idempotency_key text;
COMMENT ON COLUMN auth.api_key.idempotency_key IS 'The header Idempotency-Key of the request that created the key; null if none was sent. Each creator has its own.';
CREATE UNIQUE INDEX api_key_idempotency_key ON auth.api_key (created_by, idempotency_key)
WHERE idempotency_key IS NOT NULL;
