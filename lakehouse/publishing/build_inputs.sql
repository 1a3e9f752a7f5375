-- What a build depends on beside the log: the project and operators' decisions.
SELECT md5(concat_ws(
    '|',
    %(project)s::text,
    (SELECT string_agg(review::text, '|' ORDER BY review.event_id, review.rule) FROM ops.event_review AS review)
));
