-- Grain: one row per requested entity that has a version, with its newest version. Versions come from the requests of
-- this API and from the state tables, which cover all sources. Rejected and withheld events are ignored.
SELECT DISTINCT ON (wanted.event_type, wanted.entity_id)
    wanted.event_type,
    wanted.entity_id,
    version.event_id,
    version.occurred_at,
    version.data
FROM unnest(%(event_types)s::text [], %(entity_ids)s::text []) AS wanted (event_type, entity_id)
CROSS JOIN LATERAL (
    (
        SELECT written.event_id, written.occurred_at, written.data, 1 AS preference
        FROM serving.written_event AS written
        INNER JOIN serving.write_request AS request ON written.request_id = request.request_id
        WHERE
            written.event_type = wanted.event_type
            AND written.entity_id = wanted.entity_id
            AND request.rejected_because IS NULL
            AND NOT EXISTS (
                SELECT FROM api.withheld_event AS withheld
                WHERE
                    written.event_type = withheld.event_type
                    AND written.entity_id = withheld.entity_id
                    AND written.event_id = withheld.event_id
            )
        ORDER BY written.occurred_at DESC
        LIMIT 1
    )
    UNION ALL
    (
        SELECT logged.event_id, logged.occurred_at, logged.data, 2
        FROM api.logged_definition AS logged
        WHERE logged.event_type = wanted.event_type AND logged.entity_id = wanted.entity_id
        ORDER BY logged.occurred_at DESC, logged.position DESC
        LIMIT 1
    )
) AS version
ORDER BY wanted.event_type, wanted.entity_id, version.occurred_at DESC, version.preference
