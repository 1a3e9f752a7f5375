-- Return whether the definitions of teams and cycles name more than one organisation, and whether an operator has ever
-- reviewed an event.
SELECT
    coalesce((
        SELECT min(data ->> 'organisation_id') <> max(data ->> 'organisation_id')
        FROM app.event
        WHERE event_type IN ('okr.team.defined.v1', 'okr.cycle.defined.v1')
    ), false) AS has_several_organisations,
    EXISTS (SELECT FROM ops.event_review) OR EXISTS (SELECT FROM app.applied_review) AS has_reviews
