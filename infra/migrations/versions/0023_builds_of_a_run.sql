-- Gates and publications are of a build: a run's id, from its second build on with `~` and the number of the try. Steps
-- that failed are of a run.
COMMENT ON COLUMN ops.gate_result.run_id IS 'The run; of the gate marts the build, which is the run, from its second build on with `~` and the number of the try.';
COMMENT ON COLUMN ops.publication.dbt_run_id IS 'The build: the run that built it, from its second build on with `~` and the number of the try.';
COMMENT ON COLUMN ops.step_failure.message IS 'What was expected, what came and what to do. Of a gate with its rules and up to three rows at fault of each as examples; of another error the first line alone, for what PostgreSQL adds to it may be a row.';

CREATE OR REPLACE VIEW ops.publication_hold AS
WITH runs AS (
    -- A gate that was run by hand holds nothing back and releases nothing.
    SELECT
        gate_result_id,
        gate,
        regexp_replace(run_id, '~[0-9]+$', '') AS run_id,
        judged_at,
        passed,
        report
    FROM ops.gate_result
    WHERE gate IN ('raw', 'marts') AND run_id NOT LIKE 'manual-%'
),
refused AS (
    SELECT
        refused.*,
        min(judged_at) OVER (PARTITION BY gate) AS held_since,
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
),
step_failed AS (
    -- A gate that refused is above, with its rule; `document` comes after the publication.
    SELECT
        failed.*,
        min(failed_at) OVER () AS held_since,
        row_number() OVER (ORDER BY failed_at DESC, run_id) AS age
    FROM ops.step_failure AS failed
    -- What failed before is over: since then something was published, or an operator let publishing go on.
    CROSS JOIN (
        SELECT max(greatest(CASE WHEN is_current THEN published_at END, resumed_at)) AS at FROM ops.publication
    ) AS settled
    WHERE pipeline = 'okr_etl_dag' AND step <> 'document'
        AND (settled.at IS NULL OR failed_at > settled.at)
        AND NOT EXISTS (SELECT FROM refused WHERE refused.run_id = failed.run_id)
        AND NOT EXISTS (SELECT FROM ops.publication WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL)
)
SELECT
    held_since,
    'gate' AS kind,
    gate,
    rules[1] AS rule,
    coalesce(rules, '{}') AS rules,
    run_id,
    NULL::bigint AS publication_id,
    (SELECT count(DISTINCT each.run_id) FROM refused AS each WHERE each.gate = refused.gate) AS runs_held,
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
    rolled_back_at, 'rollback', NULL, NULL, '{}', regexp_replace(dbt_run_id, '~[0-9]+$', ''), publication_id, 0, rolled_back_at,
    format('publication %s was rolled back, and nothing is published until `okr publication resume`', publication_id)
FROM ops.publication
WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL
UNION ALL
SELECT
    held_since, 'step', NULL, NULL, '{}', run_id, NULL,
    (SELECT count(DISTINCT run_id) FROM step_failed), failed_at,
    format('step %s failed: %s', step, message)
FROM step_failed
WHERE age = 1;

COMMENT ON COLUMN ops.publication_hold.held_since IS 'The first refusal since the gate last passed, the rollback, or the first failure since the publication or `okr publication resume`, UTC.';
COMMENT ON COLUMN ops.publication_hold.runs_held IS 'Runs refused or failed since then; 0 for a rollback.';

SET LOCAL ROLE okr_transform;
CREATE OR REPLACE VIEW marts.publication AS
SELECT
    publication_id, published_at, data_as_of, offsets, regexp_replace(dbt_run_id, '~[0-9]+$', '') AS dbt_run_id, model_version
FROM ops.publication
WHERE publication_id = (
    SELECT publication_id FROM publishing.switch
    WHERE attachment_id <= publishing.newest_attachment()
    ORDER BY switch_id DESC LIMIT 1
);
RESET ROLE;
