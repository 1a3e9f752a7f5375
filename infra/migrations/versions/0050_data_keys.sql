-- A downgrade keeps this table if it contains keys.
CREATE TABLE IF NOT EXISTS app.data_key (
    key_id uuid PRIMARY KEY,
    owner text NOT NULL UNIQUE,
    kek_id text,
    wrapped_key bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    rotated_at timestamptz,
    destroyed_at timestamptz,
    CHECK (num_nonnulls(kek_id, wrapped_key) = CASE WHEN destroyed_at IS NULL THEN 2 ELSE 0 END)
);
COMMENT ON TABLE app.data_key IS 'Grain: one key with which the personal fields of one owner are encrypted (ADR 34). Without it, they cannot be read.';
COMMENT ON COLUMN app.data_key.key_id IS 'Id of the key, which each encrypted value contains.';
COMMENT ON COLUMN app.data_key.owner IS 'user:<id>; key_result:<id> or objective:<id> for notes that name no user; rejected:<year>-<month> for rejected messages; index:user.email for the comparison of e-mail addresses.';
COMMENT ON COLUMN app.data_key.kek_id IS 'Id of the key-encryption key that wraps the key; null once the key was destroyed.';
COMMENT ON COLUMN app.data_key.wrapped_key IS 'The key, encrypted; null once it was destroyed.';
COMMENT ON COLUMN app.data_key.created_at IS 'When the key was created, UTC.';
COMMENT ON COLUMN app.data_key.rotated_at IS 'When the key was last wrapped again with another key-encryption key, UTC; null if it never was.';
COMMENT ON COLUMN app.data_key.destroyed_at IS 'When the key was destroyed, UTC; null if it was not.';

-- Consumers and the API create keys. Only the owner of the schema rotates and destroys them.
REVOKE ALL ON app.data_key FROM okr_loader, okr_serving;
GRANT SELECT, INSERT ON app.data_key TO okr_loader, okr_serving;

-- What the e-mail addresses of users are compared by. An encrypted address is followed by a dot and a keyed hash of the
-- address, or by nothing if the user's key was destroyed; an address contains @, an encrypted one does not.
CREATE FUNCTION app.user_address(data jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN data ->> 'email' LIKE 'enc1:%' AND data ->> 'email' NOT LIKE '%@%'
        THEN coalesce(nullif(split_part(data ->> 'email', '.', 2), ''), data ->> 'email')
    ELSE data ->> 'email'
END;
COMMENT ON FUNCTION app.user_address IS 'By what the e-mail address in a definition of a user is compared with others.';
GRANT EXECUTE ON FUNCTION app.user_address TO okr_loader;
CREATE INDEX newest_event_user_address ON app.newest_event (app.user_address(data))
WHERE event_type = 'okr.user.defined.v1';
