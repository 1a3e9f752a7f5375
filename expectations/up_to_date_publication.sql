-- The current publication, provided that no data has been loaded and no build has started since it was built.
SELECT p.publication_id
FROM ops.publication AS p
CROSS JOIN LATERAL obj_description(to_regnamespace('marts_build')::oid, 'pg_namespace') AS build
WHERE
    p.is_current
    AND CASE WHEN build LIKE '{%' THEN build::jsonb ->> 'published_as' END = p.publication_id::text
    AND NOT EXISTS (
        SELECT FROM raw.load_watermark AS loaded
        WHERE loaded.next_offset <> coalesce((p.offsets -> loaded.topic ->> loaded.kafka_partition::text)::bigint, 0)
    )
