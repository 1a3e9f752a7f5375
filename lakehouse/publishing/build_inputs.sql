<<<<<<< HEAD
-- What a build depends on beside the log: the project, the schema's revision, operators' decisions, and changes of raw other
-- than by loading.
=======
-- The inputs of a build other than the log: the dbt project and the decisions of operators.
>>>>>>> c90db01 (lakehouse: plain words in publication, publishing, quarantine, contracts and schemas; docs/events.md names three places for an event type)
SELECT md5(concat_ws(
    '|',
    %(project)s::text,
    (SELECT string_agg(revision, '|' ORDER BY revision) FROM ops.schema_revision),
    (SELECT string_agg(review::text, '|' ORDER BY review.event_id, review.rule) FROM ops.event_review AS review),
    (SELECT string_agg(raw_rewrite::text, '|' ORDER BY raw_rewrite.table_name) FROM ops.raw_rewrite)
));
