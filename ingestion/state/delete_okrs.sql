DELETE FROM app.okrs AS existing
WHERE
    existing.key_result_id = any(%(subjects)s)
    AND NOT EXISTS (
        SELECT FROM app.newest_event AS defined
        WHERE defined.event_type = 'okr.key_result.defined.v1' AND defined.subject = existing.key_result_id
    )
