-- Creates an account. Returns no row if the user name is taken.
INSERT INTO auth.account (
    username, password_hash, role, organisation_id, user_id, team_ids, plan, password_expires_at
)
VALUES (
    %(username)s, %(password_hash)s, %(role)s, %(organisation_id)s, %(user_id)s, %(team_ids)s, %(plan)s,
    now() + %(one_time_s)s::integer * interval '1 second'
)
ON CONFLICT (username) DO NOTHING
RETURNING username, role, organisation_id, user_id, team_ids, plan, created_at, disabled_at, password_changed_at,
          password_expires_at, credential_version
