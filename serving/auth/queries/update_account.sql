-- Changes an account and ends its sessions and tokens. A parameter that is null leaves its column as it is;
-- sets_assignment decides this for organisation, user, teams and plan. Returns the changed account, or no row if
-- verified_version is not null and the account was changed since it had this version.
WITH changed AS (
    UPDATE auth.account SET
        password_hash = coalesce(%(password_hash)s::text, password_hash),
        password_changed_at = CASE WHEN %(password_hash)s::text IS NULL THEN password_changed_at ELSE now() END,
        password_expires_at = CASE
            WHEN %(password_hash)s::text IS NULL THEN password_expires_at
            ELSE now() + %(one_time_s)s::integer * interval '1 second'
        END,
        role = coalesce(%(role)s::text, role),
        organisation_id = CASE WHEN %(sets_assignment)s THEN %(organisation_id)s::text ELSE organisation_id END,
        user_id = CASE WHEN %(sets_assignment)s THEN %(user_id)s::text ELSE user_id END,
        team_ids = CASE WHEN %(sets_assignment)s THEN %(team_ids)s::text [] ELSE team_ids END,
        plan = CASE WHEN %(sets_assignment)s THEN %(plan)s::text ELSE plan END,
        disabled_at = CASE
            WHEN %(disables)s::boolean IS NULL THEN disabled_at
            WHEN %(disables)s THEN coalesce(disabled_at, now())
        END,
        credential_version = credential_version + 1
    WHERE username = %(username)s
        AND credential_version = coalesce(%(verified_version)s::integer, credential_version)
    RETURNING *
),
revoked AS (
    INSERT INTO auth.revocation (kind, subject, credential_version)
    SELECT 'account', username, credential_version FROM changed
)
SELECT username, role, organisation_id, user_id, team_ids, plan, created_at, disabled_at, password_changed_at,
       password_expires_at, credential_version
FROM changed
