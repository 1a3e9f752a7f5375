-- Grain: one requested key result that is defined in raw, according to its newest definition.
SELECT DISTINCT ON (subject)
    subject AS key_result_id,
    (data ->> 'baseline')::float8 AS baseline,
    (data ->> 'target')::float8 AS target
FROM raw.okr_user_events
WHERE event_type = 'okr.key_result.defined.v1' AND subject = ANY(%(key_result_ids)s)
ORDER BY subject, occurred_at DESC, kafka_offset DESC
