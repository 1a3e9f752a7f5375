-- Remove the keyed hashes of the e-mail addresses of users whose keys are destroyed, so that nobody can confirm a guess.
WITH destroyed AS (
    SELECT substr(owner, length('user:') + 1) AS user_id
    FROM unnest(%(owners)s::text []) AS owner
    WHERE owner LIKE 'user:%%'
),

newest AS (
    UPDATE app.newest_event
    SET data = jsonb_set(data, '{email}', to_jsonb(split_part(data ->> 'email', '.', 1)))
    WHERE
        event_type = 'okr.user.defined.v1' AND subject IN (SELECT user_id FROM destroyed)
        AND app.user_address(data) <> data ->> 'email'
),

users AS (
    UPDATE app.users
    SET email = split_part(email, '.', 1)
    WHERE source_user_id IN (SELECT user_id FROM destroyed) AND email LIKE 'enc1:%%.%%'
)

UPDATE app.event
SET data = jsonb_set(data, '{email}', to_jsonb(split_part(data ->> 'email', '.', 1)))
WHERE
    event_type = 'okr.user.defined.v1' AND entity_id IN (SELECT user_id FROM destroyed)
    AND app.user_address(data) <> data ->> 'email'
