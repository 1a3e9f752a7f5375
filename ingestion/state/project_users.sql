-- Upsert users. An e-mail address belongs to one user at a time: to the most recently defined user of the organisation
-- that used the address first. All other users with that address get a placeholder under .invalid, a reserved domain
-- that never exists (RFC 2606), until the address is theirs.
WITH named AS (
    SELECT
        named.subject,
        named.user_id,
        existing.data,
        existing.occurred_at,
        existing.position,
        existing.kafka_offset,
        existing.first_occurred_at,
        team.data ->> 'organisation_id' AS organisation_id,
        first_value(team.data ->> 'organisation_id') OVER (
            PARTITION BY app.user_address(existing.data)
            ORDER BY team.data ->> 'organisation_id' IS NULL, first_use.position
        ) AS first_organisation_id
    FROM unnest(%(subjects)s::text [], %(ids)s::uuid []) AS named (subject, user_id)
    INNER JOIN app.newest_event AS existing
        ON named.subject = existing.subject AND existing.event_type = 'okr.user.defined.v1'
    LEFT JOIN app.newest_event AS team
        ON existing.data ->> 'team_id' = team.subject AND team.event_type = 'okr.team.defined.v1'
    CROSS JOIN LATERAL (
        SELECT event.position
        FROM app.counted_event AS event
        WHERE
            event.event_type = 'okr.user.defined.v1'
            AND event.entity_id = named.subject
            AND app.user_address(event.data) = app.user_address(existing.data)
        ORDER BY event.position
        LIMIT 1
    ) AS first_use
),

ranked AS (
    SELECT
        named.*,
        ending.ended_at AS deactivated_at,
        row_number() OVER (PARTITION BY app.user_address(named.data) ORDER BY
            coalesce(named.organisation_id <> named.first_organisation_id, false),
            named.occurred_at DESC, named.position DESC
        ) AS email_claim,
        row_number() OVER (PARTITION BY named.user_id ORDER BY
            named.occurred_at DESC, named.position DESC
        ) AS id_claim
    FROM named
    LEFT JOIN app.endings('okr.user.deactivated.v1', %(subjects)s::text []) AS ending
        ON named.subject = ending.id AND ending.revived_at IS NULL
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
WHERE id_claim = 1  -- ids that are spellings of the same UUID are one user
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
