-- Users whose row may change: those defined anew, and all who share an e-mail address with them, now or before.
WITH addresses AS (
    SELECT data ->> 'email' AS email
    FROM app.newest_event
    WHERE event_type = 'okr.user.defined.v1' AND subject = any(%(users)s)
    UNION
    SELECT email
    FROM app.users
    WHERE source_user_id = any(%(users)s)
)

SELECT subject
FROM app.newest_event
WHERE event_type = 'okr.user.defined.v1' AND data ->> 'email' IN (SELECT email FROM addresses)
