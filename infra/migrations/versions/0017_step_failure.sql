-- Grain: one step of one run that ended in failure and has not succeeded since.
CREATE TABLE ops.step_failure (
    pipeline text NOT NULL,
    run_id text NOT NULL,
    step text NOT NULL,
    failed_at timestamptz NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (pipeline, run_id, step)
);
CREATE INDEX step_failure_failed_at ON ops.step_failure (pipeline, failed_at DESC);
COMMENT ON TABLE ops.step_failure IS 'Steps of pipeline runs that failed and have not succeeded since, for whoever waits for a run; kept for 90 days.';
COMMENT ON COLUMN ops.step_failure.failed_at IS 'When its last try ended, UTC.';
COMMENT ON COLUMN ops.step_failure.message IS 'What was expected, what came and what to do; of a gate with its rules and examples. No row of the database is in it.';
GRANT DELETE ON ops.step_failure TO okr_transform;

CREATE OR REPLACE VIEW ops.publication_hold AS
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
),
step_failed AS (
    -- A gate that refused is above, with its rule; `document` comes after the publication.
    SELECT
        failed.*,
        min(failed_at) OVER () AS held_since,
        count(*) OVER () AS runs_held,
        row_number() OVER (ORDER BY failed_at DESC, run_id) AS age
    FROM ops.step_failure AS failed
    LEFT JOIN ops.publication AS published ON published.is_current
    WHERE pipeline = 'okr_etl_dag' AND step <> 'document'
        AND (published.published_at IS NULL OR failed_at > published.published_at)
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
WHERE rolled_back_at IS NOT NULL AND resumed_at IS NULL
UNION ALL
SELECT
    held_since, 'step', NULL, NULL, '{}', run_id, NULL, runs_held, failed_at, format('step %s failed: %s', step, message)
FROM step_failed
WHERE age = 1;

COMMENT ON COLUMN ops.publication_hold.kind IS 'gate: a quality gate refused a run. rollback: an operator rolled back. step: another step of okr_etl_dag failed.';
COMMENT ON COLUMN ops.publication_hold.held_since IS 'The first refusal since the gate last passed, the rollback, or the first failure since the publication, UTC.';
