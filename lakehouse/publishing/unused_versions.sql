-- Grain: one version that is neither current nor kept for a rollback and that no running transaction can read.
WITH versions AS (
    SELECT substring(nspname FROM '[0-9]+$')::bigint AS publication_id FROM pg_namespace WHERE nspname ~ '^marts_v[0-9]+$'
),
kept AS (
    SELECT publication_id FROM ops.publication WHERE is_current
    UNION
    SELECT publication_id FROM ops.publication WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL
    UNION
    (
        SELECT publication_id
        FROM ops.publication JOIN versions USING (publication_id)
        WHERE rolled_back_at IS NULL AND publication_id < (SELECT publication_id FROM ops.publication WHERE is_current)
        ORDER BY publication_id DESC
        LIMIT %(kept)s
    )
),
in_use AS (
    -- The version before each switch, if transactions that were running at the switch have not ended.
    SELECT before.publication_id
    FROM (SELECT publication_id, lead(readers) OVER (ORDER BY switch_id) AS readers FROM publishing.switch) AS before
    WHERE EXISTS (SELECT FROM pg_locks WHERE locktype = 'virtualxid' AND virtualxid = ANY (before.readers))
)
SELECT publication_id
FROM versions
WHERE publication_id NOT IN (SELECT publication_id FROM kept) AND publication_id NOT IN (SELECT publication_id FROM in_use)
ORDER BY 1
