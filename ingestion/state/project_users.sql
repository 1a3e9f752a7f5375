-- An e-mail address belongs to one user at a time: the newest definition has it. Whoever had it before keeps a place
-- holder under .invalid, a domain that never exists (RFC 2606), until the address is theirs again.
WITH ranked AS (
    SELECT
        named.user_id,
        kept.subject,
        kept.data,
        kept.occurred_at,
        kept.kafka_offset,
        kept.first_occurred_at,
        ending.ended_at AS deactivated_at,
        row_number() OVER (PARTITION BY kept.data ->> 'email' ORDER BY
            kept.occurred_at DESC, kept.position DESC
        ) AS email_claim,
        row_number() OVER (PARTITION BY named.user_id ORDER BY
            kept.occurred_at DESC, kept.position DESC
        ) AS id_claim
    FROM unnest(%(subjects)s::text [], %(ids)s::uuid []) AS named (subject, user_id)
    INNER JOIN app.newest_event AS kept
        ON named.subject = kept.subject AND kept.event_type = 'okr.user.defined.v1'
    LEFT JOIN app.endings('okr.user.deactivated.v1', %(subjects)s::text []) AS ending
        ON kept.subject = ending.id AND ending.revived_at IS NULL
)

INSERT INTO app.users (
    user_id, name, email, created_at, updated_at, source_user_id, team_id, defined_at, defined_offset,
    deactivated_at
)
SELECT
    user_id,
    data ->> 'name',
    CASE WHEN email_claim = 1 THEN data ->> 'email' ELSE user_id::text || '@superseded.invalid' END,
    first_occurred_at,
    occurred_at,
    subject,
    data ->> 'team_id',
    occurred_at,
    kafka_offset,
    deactivated_at
FROM ranked
WHERE id_claim = 1  -- one UUID written in two ways is one user
ON CONFLICT (user_id) DO UPDATE
SET
    name = excluded.name,
    email = excluded.email,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    source_user_id = excluded.source_user_id,
    team_id = excluded.team_id,
    defined_at = excluded.defined_at,
    defined_offset = excluded.defined_offset,
    deactivated_at = excluded.deactivated_at
