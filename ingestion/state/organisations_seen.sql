-- Whether events of more than one organisation came, and whether an operator ever decided on one.
SELECT
    coalesce((
        SELECT min(data ->> 'organisation_id') <> max(data ->> 'organisation_id')
        FROM app.event
        WHERE event_type IN ('okr.team.defined.v1', 'okr.cycle.defined.v1')
    ), false) AS is_more_than_one,
    EXISTS (SELECT FROM ops.event_review) OR EXISTS (SELECT FROM app.applied_review) AS is_reviewed
