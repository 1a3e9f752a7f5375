-- Defined key results whose row may change: by a definition or check-in of their own, by their objective or their owner.
SELECT subject
FROM app.newest_event
WHERE
    event_type = 'okr.key_result.defined.v1'
    AND (
        subject = any(%(key_results)s)
        OR data ->> 'objective_id' = any(%(objectives)s)
        OR data ->> 'owner_user_id' = any(%(users)s)
    )
