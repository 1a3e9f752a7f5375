-- This query runs in DuckDB. Grain: one waiting message of a topic, valid or rejected. A column is null if the rule
-- that checks it does not apply to the message.
WITH defined AS (
    SELECT
        subject AS key_result_id,
        try_cast(data ->> '$.baseline' AS double) AS baseline,
        try_cast(data ->> '$.target' AS double) AS target
    FROM waiting
    WHERE rejection_reason IS NULL AND event_type = 'okr.key_result.defined.v1'
    QUALIFY row_number() OVER (PARTITION BY subject ORDER BY occurred_at DESC, kafka_offset DESC) = 1
),

key_results AS (
    SELECT * FROM defined
    UNION ALL
    SELECT * FROM known ANTI JOIN defined USING (key_result_id)
),

valid AS (
    SELECT
        *,
        event_type = 'okr.check_in.recorded.v1' AS is_check_in,
        try_cast(data ->> '$.value' AS double) AS value
    FROM waiting
    WHERE rejection_reason IS NULL
)

SELECT
    nullif(concat_ws(
        ', ',
        CASE WHEN event_id IS NULL THEN 'event_id' END,
        CASE WHEN event_type IS NULL THEN 'event_type' END,
        CASE WHEN source IS NULL THEN 'source' END,
        CASE WHEN subject IS NULL THEN 'subject' END,
        CASE WHEN occurred_at IS NULL THEN 'occurred_at' END,
        CASE WHEN recorded_at IS NULL THEN 'recorded_at' END,
        CASE WHEN data IS NULL THEN 'data' END
    ), '') AS missing,
    CASE WHEN NOT list_contains(?, event_type) THEN event_type END AS unknown_type,
    epoch(occurred_at) - epoch(logged_at) AS seconds_ahead,
    epoch(recorded_at) - epoch(logged_at) AS recorded_ahead_s,
    year(occurred_at) AS occurred_year,
    CASE WHEN is_check_in THEN (value - baseline) / nullif(target - baseline, 0) END AS progress_ratio,
    CASE WHEN is_check_in AND key_results.key_result_id IS NULL THEN subject END AS unknown_key_result,
    CASE WHEN event_type = 'okr.host_metric.sampled.v1' AND (data ->> '$.unit') = 'ratio' THEN value END AS sampled_ratio,
    CASE
        WHEN event_type = 'okr.prediction.served.v1'
            THEN try_cast(data ->> '$.high' AS double) - try_cast(data ->> '$.low' AS double)
        WHEN event_type = 'okr.prediction.served.v2'
            THEN try_cast(data ->> '$.output.high' AS double) - try_cast(data ->> '$.output.low' AS double)
    END AS interval_width,
    NULL::varchar AS rejection_reason
FROM valid
-- The only join condition is the equality of ids. With a second condition, DuckDB would compare all events of a
-- subject pairwise.
LEFT JOIN key_results ON CASE WHEN valid.is_check_in THEN valid.subject END = key_results.key_result_id
UNION ALL BY NAME
SELECT rejection_reason FROM waiting WHERE rejection_reason IS NOT NULL
