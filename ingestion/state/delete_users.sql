-- Delete the given users who have no counted definition left. Their key results no longer have an owner.
WITH gone AS (
    SELECT user_id
    FROM app.users
    WHERE
        source_user_id = any(%(users)s::text [])
        AND NOT EXISTS (
            SELECT FROM app.newest_event AS existing
            WHERE existing.event_type = 'okr.user.defined.v1' AND existing.subject = users.source_user_id
        )
),

disowned AS (
    UPDATE app.okrs SET user_id = NULL WHERE user_id IN (SELECT user_id FROM gone) RETURNING okr_id
)

DELETE FROM app.users
WHERE user_id IN (SELECT user_id FROM gone) AND (SELECT count(*) FROM disowned) >= 0
