-- Grain: one row per account of an organisation, or of the installation.
SELECT username, role, organisation_id, user_id, team_ids, plan, created_at, disabled_at, password_changed_at,
       password_expires_at, credential_version
FROM auth.account
WHERE %(organisation_id)s::text IS NULL OR organisation_id = %(organisation_id)s
ORDER BY username
