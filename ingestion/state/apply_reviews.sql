-- Record the operators' decisions that were made, changed or withdrawn since the last call. Return the entities of the
-- events on which these decisions were made.
WITH changed AS (
    SELECT
        event_id,
        rule,
        review.decision
    FROM ops.event_review AS review
    FULL JOIN app.applied_review AS applied USING (event_id, rule)
    WHERE review.decision IS DISTINCT FROM applied.decision
),

applied AS (
    INSERT INTO app.applied_review AS applied (event_id, rule, decision)
    SELECT event_id, rule, decision FROM changed WHERE decision IS NOT NULL
    ON CONFLICT (event_id, rule) DO UPDATE SET decision = excluded.decision
),

withdrawn AS (
    DELETE FROM app.applied_review AS applied
    USING changed
    WHERE
        applied.event_id = changed.event_id AND applied.rule = changed.rule AND changed.decision IS NULL
)

SELECT event_type, entity_id
FROM app.event
WHERE event_id = any(ARRAY(SELECT event_id FROM changed))
