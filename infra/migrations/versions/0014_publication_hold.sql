ALTER TABLE ops.publication ADD COLUMN rolled_back_at timestamptz, ADD COLUMN resumed_at timestamptz;
COMMENT ON COLUMN ops.publication.rolled_back_at IS 'When `okr publication rollback` took it away from readers; null if never.';
COMMENT ON COLUMN ops.publication.resumed_at IS 'When `okr publication resume` ended the hold that its rollback began; null while publishing is held.';

-- Until this revision a rollback was known by the schema that it left behind.
UPDATE ops.publication
SET rolled_back_at = now()
WHERE EXISTS (SELECT FROM pg_namespace WHERE nspname = 'marts_rejected_' || publication_id);

CREATE VIEW ops.publication_hold AS
WITH runs AS (
    -- A gate that was run by hand holds nothing back and releases nothing.
    SELECT * FROM ops.gate_result WHERE gate IN ('raw', 'marts') AND run_id NOT LIKE 'manual-%'
),
refused AS (
    SELECT
        refused.*,
        min(judged_at) OVER (PARTITION BY gate) AS held_since,
        count(*) OVER (PARTITION BY gate) AS runs_held,
        row_number() OVER (PARTITION BY gate ORDER BY judged_at DESC, gate_result_id DESC) AS age
    FROM runs AS refused
    WHERE NOT passed AND NOT EXISTS (
        SELECT FROM runs AS newer WHERE newer.gate = refused.gate AND newer.passed AND newer.judged_at >= refused.judged_at
    )
),
broken AS (
    SELECT
        gate_result_id,
        array_agg(format('%s.%s', suite ->> 'noun', rule ->> 'name') ORDER BY suite_at, rule_at) AS rules,
        array_agg(
            format('%s: ', suite ->> 'noun')
            || CASE
                WHEN rule ->> 'error' IS NOT NULL THEN format('%s could not be checked: %s', rule ->> 'name', rule ->> 'error')
                ELSE concat(
                    rule ->> 'name', ': expected that ', rule ->> 'says', '; ' || (rule ->> 'unexpected') || ' at fault',
                    ', e.g. ' || (rule -> 'examples' ->> 0)
                )
            END
            ORDER BY suite_at, rule_at
        ) AS says
    FROM refused
    CROSS JOIN LATERAL jsonb_array_elements(report -> 'suites') WITH ORDINALITY AS suites (suite, suite_at)
    CROSS JOIN LATERAL jsonb_array_elements(suite -> 'rules') WITH ORDINALITY AS rules (rule, rule_at)
    WHERE age = 1
        AND NOT (rule ->> 'passed')::boolean
        AND NOT (rule ->> 'advice')::boolean
        AND NOT ((report ->> 'accepted')::boolean AND (rule ->> 'acceptable')::boolean AND rule ->> 'error' IS NULL)
    GROUP BY gate_result_id
)
SELECT
    held_since,
    'gate' AS kind,
    gate,
    rules[1] AS rule,
    coalesce(rules, '{}') AS rules,
    run_id,
    NULL::bigint AS publication_id,
    runs_held,
    judged_at AS newest_at,
    format('gate %s: ', gate) || coalesce(
        says[1] || CASE WHEN cardinality(says) > 1 THEN format(' (and %s more)', cardinality(says) - 1) ELSE '' END,
        'it checked nothing, and a gate that checks nothing does not pass'
    ) AS because
FROM refused
LEFT JOIN broken USING (gate_result_id)
WHERE age = 1
UNION ALL
SELECT
    rolled_back_at, 'rollback', NULL, NULL, '{}', dbt_run_id, publication_id, 0, rolled_back_at,
    format('publication %s was rolled back, and nothing is published until `okr publication resume`', publication_id)
FROM ops.publication
WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL;

COMMENT ON VIEW ops.publication_hold IS 'Grain: one reason why readers do not get a newer publication; empty when nothing is held.';
COMMENT ON COLUMN ops.publication_hold.held_since IS 'The first refusal since the gate last passed, or the rollback, UTC.';
COMMENT ON COLUMN ops.publication_hold.kind IS 'gate: a quality gate refused a run. rollback: an operator rolled back.';
COMMENT ON COLUMN ops.publication_hold.gate IS 'raw: what landed was not loaded. marts: what was built was not published. Null for a rollback.';
COMMENT ON COLUMN ops.publication_hold.rule IS 'The first rule that the newest refused run broke, as noun.rule; null for a rollback or a gate that checked nothing.';
COMMENT ON COLUMN ops.publication_hold.rules IS 'All rules that it broke.';
COMMENT ON COLUMN ops.publication_hold.run_id IS 'The newest run of the pipeline that was refused, or the run that built what was rolled back.';
COMMENT ON COLUMN ops.publication_hold.publication_id IS 'The publication that was rolled back; null for a gate.';
COMMENT ON COLUMN ops.publication_hold.runs_held IS 'Runs refused since then.';
COMMENT ON COLUMN ops.publication_hold.newest_at IS 'The newest refusal, UTC.';
COMMENT ON COLUMN ops.publication_hold.because IS 'One sentence for people: gate, rule, what it expects, how many rows are at fault, an example.';
