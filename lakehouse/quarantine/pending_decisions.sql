-- Grain: one decision that the current publication does not include yet. Decisions on events that are not loaded are
-- excluded, because marts contain only loaded events.
SELECT review.event_id::text AS event_id, review.rule, review.decision
FROM ops.loaded_review AS review
LEFT JOIN marts.fct_reviewed_event AS published USING (event_id, rule)
WHERE published.decision IS DISTINCT FROM review.decision
ORDER BY review.decided_at, review.event_id, review.rule
