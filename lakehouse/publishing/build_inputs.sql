-- A hash of all inputs of a build except newly loaded events: the dbt project, the schema revision, the operators'
-- decisions, and every change to raw other than loading.
SELECT md5(concat_ws(
    '|',
    %(project)s::text,
    (SELECT string_agg(revision, '|' ORDER BY revision) FROM ops.schema_revision),
    (SELECT string_agg(review::text, '|' ORDER BY review.event_id, review.rule) FROM ops.event_review AS review),
    (SELECT string_agg(raw_rewrite::text, '|' ORDER BY raw_rewrite.table_name) FROM ops.raw_rewrite)
));
