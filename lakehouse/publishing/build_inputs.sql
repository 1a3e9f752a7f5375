-- What a build depends on beside the log: the project, operators' decisions and the version of the schemas. Null where
-- one event can change what another one counts for: there are several organisations (int_identity_conflict).
SELECT md5(concat_ws(
    '|',
    %(project)s::text,
    (SELECT string_agg(review::text, '|' ORDER BY review.event_id, review.rule) FROM ops.event_review AS review)
))
WHERE (
    SELECT count(DISTINCT data ->> 'organisation_id')
    FROM raw.okr_user_events
    WHERE event_type IN ('okr.team.defined.v1', 'okr.cycle.defined.v1')
) <= 1;
