-- As before, but a pause counts while catch_up_dag sees it: paused itself, that cannot say when the pause has ended.
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
WHERE age = 1
UNION ALL
SELECT
    paused_since, 'paused', NULL, NULL, '{}', pipeline, NULL, 0, seen_at,
    format('the DAG %s is paused, and %s wait for it', pipeline, waiting)
FROM ops.pipeline_pause
WHERE seen_at > now() - interval '5 minutes';

