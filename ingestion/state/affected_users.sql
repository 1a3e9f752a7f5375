-- Return the users whose rows may change: the given users, users who were ever in a given team, and all users who share
-- an e-mail address with one of these. For a given user, this includes all earlier addresses.
WITH addresses AS (
    SELECT app.user_address(data) AS address
    FROM app.event
    WHERE event_type = 'okr.user.defined.v1' AND entity_id = any(%(users)s::text [])
    UNION
    SELECT app.user_address(existing.data)
    FROM app.event AS defined
    INNER JOIN app.newest_event AS existing
        ON defined.entity_id = existing.subject AND existing.event_type = 'okr.user.defined.v1'
    WHERE defined.event_type = 'okr.user.defined.v1' AND defined.data ->> 'team_id' = any(%(teams)s)
)

SELECT subject
FROM app.newest_event
WHERE event_type = 'okr.user.defined.v1' AND app.user_address(data) IN (SELECT address FROM addresses)
