-- Accounts. The role `app` is called `service` since this revision; processes of an older release may still write `app`.
ALTER TABLE auth.account
    ADD COLUMN organisation_id text,
    ADD COLUMN user_id text,
    ADD COLUMN team_ids text [] NOT NULL DEFAULT '{}',
    ADD COLUMN plan text NOT NULL DEFAULT 'standard',
    ADD COLUMN disabled_at timestamptz,
    ADD COLUMN password_changed_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN credential_version integer NOT NULL DEFAULT 1,
    ADD COLUMN seed_hash text;
UPDATE auth.account SET role = 'service' WHERE role = 'app';
ALTER TABLE auth.account ADD CONSTRAINT account_role
    CHECK (role IN ('viewer', 'member', 'lead', 'admin', 'service', 'app'));
COMMENT ON TABLE auth.account IS 'Grain: one account of the API and the pages.';
COMMENT ON COLUMN auth.account.username IS 'The name to log in with.';
COMMENT ON COLUMN auth.account.password_hash IS 'Argon2id hash of the password, with its parameters.';
COMMENT ON COLUMN auth.account.role IS 'viewer, member, lead, admin or service; app is the name of service before revision 0040.';
COMMENT ON COLUMN auth.account.created_at IS 'Time of creation, UTC.';
COMMENT ON COLUMN auth.account.organisation_id IS 'The organisation whose data the account may see; null for every organisation of the installation.';
COMMENT ON COLUMN auth.account.user_id IS 'The user of the organisation (marts.dim_user) to whom the account belongs; null if it belongs to none.';
COMMENT ON COLUMN auth.account.team_ids IS 'The teams that the account leads.';
COMMENT ON COLUMN auth.account.plan IS 'The plan whose request limits apply.';
COMMENT ON COLUMN auth.account.disabled_at IS 'Time at which the account was disabled, UTC; null if it may log in.';
COMMENT ON COLUMN auth.account.password_changed_at IS 'Time of the last change of the password, UTC.';
COMMENT ON COLUMN auth.account.credential_version IS 'Increases with each change of the account. Sessions and tokens of an earlier version are invalid.';
COMMENT ON COLUMN auth.account.seed_hash IS 'Argon2id hash of the password in the settings from which the account was created; null for other accounts. The password is set again only if the settings change.';

-- Keys that sign access tokens.
CREATE TABLE auth.signing_key (
    kid text PRIMARY KEY,
    public_key bytea NOT NULL,
    encrypted_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    signs_from timestamptz NOT NULL DEFAULT now(),
    verifies_until timestamptz
);
COMMENT ON TABLE auth.signing_key IS 'Grain: one Ed25519 key of access tokens. The newest key whose signs_from has passed signs.';
COMMENT ON COLUMN auth.signing_key.kid IS 'Key id in the header of tokens and in /.well-known/jwks.json.';
COMMENT ON COLUMN auth.signing_key.public_key IS 'Raw public key, 32 bytes.';
COMMENT ON COLUMN auth.signing_key.encrypted_private_key IS 'Nonce (12 bytes) and AES-256-GCM ciphertext of the raw private key. The encryption key is derived from OKR_JWT_SECRET; kid and public key are authenticated with it.';
COMMENT ON COLUMN auth.signing_key.created_at IS 'Time of creation, UTC.';
COMMENT ON COLUMN auth.signing_key.signs_from IS 'Time from which the key signs, UTC; until then, every worker learns its public key.';
COMMENT ON COLUMN auth.signing_key.verifies_until IS 'Time until which its tokens are accepted, UTC; null until a later key replaces it.';

-- Refresh tokens. A family is all tokens that descend from one login.
CREATE TABLE auth.refresh_token (
    token_hash bytea PRIMARY KEY,
    family_id uuid NOT NULL,
    username text NOT NULL REFERENCES auth.account (username) ON DELETE CASCADE,
    credential_version integer NOT NULL,
    logged_in_at timestamptz NOT NULL DEFAULT now(),
    issued_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX refresh_token_family_id ON auth.refresh_token (family_id);
CREATE INDEX refresh_token_username ON auth.refresh_token (username);
CREATE INDEX refresh_token_expires_at ON auth.refresh_token (expires_at);
COMMENT ON TABLE auth.refresh_token IS 'Grain: one refresh token. Each is valid for one use; a second use revokes its family.';
COMMENT ON COLUMN auth.refresh_token.token_hash IS 'SHA-256 of the token, which has 256 random bits.';
COMMENT ON COLUMN auth.refresh_token.family_id IS 'The login from which the token descends.';
COMMENT ON COLUMN auth.refresh_token.username IS 'The account.';
COMMENT ON COLUMN auth.refresh_token.credential_version IS 'The credential version of the account at the login.';
COMMENT ON COLUMN auth.refresh_token.logged_in_at IS 'Time of the login with the password, UTC.';
COMMENT ON COLUMN auth.refresh_token.issued_at IS 'Time of issue, UTC.';
COMMENT ON COLUMN auth.refresh_token.expires_at IS 'Time until which it may be used, UTC.';
COMMENT ON COLUMN auth.refresh_token.used_at IS 'Time at which it was exchanged for the next one, UTC; null if it was not.';
COMMENT ON COLUMN auth.refresh_token.revoked_at IS 'Time at which its family was revoked, UTC; null if it was not.';

CREATE TABLE auth.api_key (
    prefix text PRIMARY KEY,
    username text NOT NULL REFERENCES auth.account (username) ON DELETE CASCADE,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    scopes text [] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    replaced_by text REFERENCES auth.api_key (prefix)
);
CREATE INDEX api_key_username ON auth.api_key (username);
COMMENT ON TABLE auth.api_key IS 'Grain: one API key of an account.';
COMMENT ON COLUMN auth.api_key.prefix IS 'The public part of the key, which identifies it in lists and logs.';
COMMENT ON COLUMN auth.api_key.username IS 'The account whose rights the key has, narrowed by its scopes.';
COMMENT ON COLUMN auth.api_key.name IS 'What the key is for.';
COMMENT ON COLUMN auth.api_key.secret_hash IS 'SHA-256 of the secret part, which has 256 random bits.';
COMMENT ON COLUMN auth.api_key.scopes IS 'The rights that the key may use, by name (serving/auth/roles.py).';
COMMENT ON COLUMN auth.api_key.created_at IS 'Time of creation, UTC.';
COMMENT ON COLUMN auth.api_key.created_by IS 'Who created it: an account, or the user of the operating system who ran the command.';
COMMENT ON COLUMN auth.api_key.expires_at IS 'Time until which it is valid, UTC; null if it does not expire.';
COMMENT ON COLUMN auth.api_key.revoked_at IS 'Time at which it was revoked, UTC; null if it was not.';
COMMENT ON COLUMN auth.api_key.last_used_at IS 'Time of its last known use, UTC, accurate to about a minute; null if it was never used.';
COMMENT ON COLUMN auth.api_key.replaced_by IS 'The key that replaced it in a rotation; it stays valid until expires_at.';

-- What every worker has to know of credentials that are no longer valid, until the last access token has expired.
CREATE TABLE auth.revocation (
    revocation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('account', 'family', 'session', 'api_key')),
    subject text NOT NULL,
    credential_version integer,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    revoked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX revocation_transaction_id ON auth.revocation (transaction_id);
COMMENT ON TABLE auth.revocation IS 'Grain: one revocation. Every worker reads new rows once a second; rows older than an hour are deleted.';
COMMENT ON COLUMN auth.revocation.revocation_id IS 'Key of the row.';
COMMENT ON COLUMN auth.revocation.kind IS 'What is revoked: credentials of an account before a version, a family of tokens, a session or an API key.';
COMMENT ON COLUMN auth.revocation.subject IS 'The user name, the id of the family, the id of the session (a hash), or the prefix of the key.';
COMMENT ON COLUMN auth.revocation.credential_version IS 'kind = account: credentials of earlier versions are invalid.';
COMMENT ON COLUMN auth.revocation.transaction_id IS 'The transaction that wrote the row. Readers use it to miss no row that was committed late.';
COMMENT ON COLUMN auth.revocation.revoked_at IS 'Time of the revocation, UTC.';

-- Where an account has logged in before. A limit that strangers have exhausted does not apply there.
CREATE TABLE auth.known_client (
    username text NOT NULL REFERENCES auth.account (username) ON DELETE CASCADE,
    client_hash bytea NOT NULL,
    last_login_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (username, client_hash)
);
CREATE INDEX known_client_last_login_at ON auth.known_client (last_login_at);
COMMENT ON TABLE auth.known_client IS 'Grain: one account and one address from which it logged in; rows unused for 90 days are deleted.';
COMMENT ON COLUMN auth.known_client.username IS 'The account.';
COMMENT ON COLUMN auth.known_client.client_hash IS 'HMAC-SHA-256 of the address with a key derived from OKR_JWT_SECRET, so that no address is stored.';
COMMENT ON COLUMN auth.known_client.last_login_at IS 'Time of the last successful login from there, UTC.';

-- The audit log: append-only for the API.
CREATE TABLE auth.audit_event (
    event_id bigint PRIMARY KEY CHECK (event_id > 0),
    occurred_at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('success', 'failure')),
    address text,
    details jsonb NOT NULL DEFAULT '{}',
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    seal bytea NOT NULL,
    seal_key text NOT NULL
);
CREATE INDEX audit_event_occurred_at ON auth.audit_event (occurred_at);
CREATE INDEX audit_event_subject ON auth.audit_event (subject, event_id);
COMMENT ON TABLE auth.audit_event IS 'Grain: one event of the audit log. `okr audit verify` finds changed, removed and inserted rows.';
COMMENT ON COLUMN auth.audit_event.event_id IS 'Position in the log: 1, 2, 3 ... without gaps.';
COMMENT ON COLUMN auth.audit_event.occurred_at IS 'Time of the event, UTC.';
COMMENT ON COLUMN auth.audit_event.actor IS 'Who did it: an account, or `os:<user>` for a command of this host.';
COMMENT ON COLUMN auth.audit_event.action IS 'What was done, e.g. login, account.disabled, model.loaded.';
COMMENT ON COLUMN auth.audit_event.subject IS 'What it was done to, e.g. a user name or the prefix of a key.';
COMMENT ON COLUMN auth.audit_event.outcome IS 'success or failure.';
COMMENT ON COLUMN auth.audit_event.address IS 'The address of the client; null for commands.';
COMMENT ON COLUMN auth.audit_event.details IS 'Further facts. No secrets.';
COMMENT ON COLUMN auth.audit_event.previous_hash IS 'Hash of the event before; 32 zero bytes for the first event.';
COMMENT ON COLUMN auth.audit_event.hash IS 'SHA-256 of previous_hash and the content (serving/auth/audit_chain.py).';
COMMENT ON COLUMN auth.audit_event.seal IS 'HMAC-SHA-256 of the hash with a key derived from OKR_JWT_SECRET, so that a chain cannot be recomputed with access to the database alone.';
COMMENT ON COLUMN auth.audit_event.seal_key IS 'Identifies the key of the seal; it changes with OKR_JWT_SECRET.';

-- okr_serving gets every privilege on new tables of this schema by default (revision 0001).
REVOKE UPDATE, DELETE ON auth.audit_event FROM okr_serving;
REVOKE UPDATE ON auth.revocation FROM okr_serving;
REVOKE DELETE ON auth.api_key, auth.account FROM okr_serving;
