-- Grain: one API key, newest first; of one account, or of the accounts of one organisation, if they are given.
SELECT key.prefix, key.username, key.name, key.scopes, key.created_at, key.created_by, key.expires_at, key.revoked_at,
       key.last_used_at, key.replaced_by
FROM auth.api_key AS key
INNER JOIN auth.account AS account ON key.username = account.username
WHERE
    (%(username)s::text IS NULL OR key.username = %(username)s)
    AND (%(organisation_id)s::text IS NULL OR account.organisation_id = %(organisation_id)s)
ORDER BY key.created_at DESC, key.prefix
