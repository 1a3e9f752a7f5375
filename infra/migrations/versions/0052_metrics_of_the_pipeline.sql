-- What the metrics collector (okr_metrics) reads of the pipeline and the marts: counts, times and names of parts. It reads
-- no mart itself: two functions return aggregates of the whole installation, so that it cannot read anything about a
-- person. Nor does it read the reports of gates, which quote events.
GRANT USAGE ON SCHEMA ops TO okr_metrics;
GRANT SELECT (gate_result_id, gate, validated_at, passed, checked_rows, failed) ON ops.gate_result TO okr_metrics;
GRANT SELECT (publication_id, published_at, data_as_of, offsets, model_version, is_current) ON ops.publication TO okr_metrics;
GRANT SELECT (held_since, kind, gate, runs_held) ON ops.publication_hold TO okr_metrics;
GRANT SELECT (pipeline, run_id, step, failed_at) ON ops.step_failure TO okr_metrics;

-- PL/pgSQL, because its statements are parsed when they run: the marts do not exist before the first publication.
CREATE FUNCTION ops.forecast_quality() RETURNS TABLE (
    model text,
    version text,
    role text,
    scored bigint,
    brier_score double precision,
    log_loss double precision,
    calibration_error double precision,
    interval_coverage_ratio double precision,
    achieved_ratio double precision,
    mean_probability double precision
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('marts.fct_prediction') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH scored_forecast AS (
        SELECT
            forecast.model_name,
            forecast.model_version,
            forecast.role AS model_role,
            forecast.probability,
            least(greatest(forecast.probability, 1e-6), 1 - 1e-6) AS clipped,
            forecast.is_achieved::int AS outcome,
            forecast.is_in_interval::int AS in_interval,
            least(floor(forecast.probability * 10), 9) AS bin
        FROM marts.fct_prediction AS forecast
        WHERE forecast.is_scored AND forecast.is_achieved IS NOT NULL AND forecast.outcome_known_at > now() - interval '90 days'
    ),
    binned AS (
        SELECT
            each.model_name,
            each.model_version,
            each.model_role,
            count(*) AS forecasts,
            sum(power(each.probability - each.outcome, 2)) AS squared_error,
            -sum(CASE each.outcome WHEN 1 THEN ln(each.clipped) ELSE ln(1 - each.clipped) END) AS negative_log_likelihood,
            abs(sum(each.probability - each.outcome)) AS bin_error,
            sum(each.in_interval) AS in_interval,
            count(each.in_interval) AS with_interval,
            sum(each.outcome) AS achieved,
            sum(each.probability) AS probability
        FROM scored_forecast AS each
        GROUP BY each.model_name, each.model_version, each.model_role, each.bin
    )
    SELECT
        binned.model_name,
        binned.model_version,
        binned.model_role,
        sum(binned.forecasts)::bigint,
        (sum(binned.squared_error) / sum(binned.forecasts))::double precision,
        (sum(binned.negative_log_likelihood) / sum(binned.forecasts))::double precision,
        (sum(binned.bin_error) / sum(binned.forecasts))::double precision,
        (sum(binned.in_interval)::double precision / nullif(sum(binned.with_interval), 0))::double precision,
        (sum(binned.achieved)::double precision / sum(binned.forecasts))::double precision,
        (sum(binned.probability) / sum(binned.forecasts))::double precision
    FROM binned
    GROUP BY binned.model_name, binned.model_version, binned.model_role
    ORDER BY sum(binned.forecasts) DESC
    LIMIT 50;
END
$$;
COMMENT ON FUNCTION ops.forecast_quality IS 'Grain: one model, version and role. Scores of its forecasts of the last 90 days whose outcome is known.';

CREATE FUNCTION ops.business_figures() RETURNS TABLE (metric text, label text, label_value text, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    as_of date := (SELECT (publication.data_as_of AT TIME ZONE 'UTC')::date FROM marts.publication);
BEGIN
    IF to_regclass('marts.mart_organisation_scorecard') IS NULL OR as_of IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT 'okr_key_results', 'status', counted.status, sum(counted.key_results)::double precision
    FROM marts.mart_organisation_scorecard AS card
    CROSS JOIN LATERAL (
        VALUES
            ('achieved', card.achieved_count),
            ('missed', card.missed_count),
            ('on_track', card.on_track_count),
            ('at_risk', card.at_risk_count),
            ('off_track', card.off_track_count),
            ('no_check_in', card.no_check_in_count),
            ('awaiting_close', card.awaiting_close_count)
    ) AS counted (status, key_results)
    WHERE card.cycle_start <= as_of AND card.cycle_end > as_of - 90
    GROUP BY counted.status;

    RETURN QUERY
    WITH week AS (
        SELECT
            sum(hygiene.open_key_result_count)::double precision AS open_count,
            sum(hygiene.checked_in_key_result_count)::double precision AS checked_in_count
        FROM marts.mart_checkin_hygiene AS hygiene
        WHERE hygiene.week_start = (date_trunc('week', as_of::timestamp) - interval '7 days')::date
    )
    SELECT counted.metric, '', NULL, counted.number
    FROM week
    CROSS JOIN LATERAL (
        VALUES ('okr_key_results_open', week.open_count), ('okr_key_results_checked_in', week.checked_in_count)
    ) AS counted (metric, number);

    RETURN QUERY
    SELECT 'okr_active_users', 'window', days.length || 'd', count(DISTINCT activity.user_id)::double precision
    FROM (VALUES (1), (7), (30)) AS days (length)
    LEFT JOIN marts.fct_user_activity_daily AS activity
        ON activity.day > as_of - days.length AND activity.day <= as_of
    GROUP BY days.length;
END
$$;
COMMENT ON FUNCTION ops.business_figures IS 'Grain: one figure of the whole installation: key results by status, check-ins of the last complete week, active users.';

REVOKE EXECUTE ON FUNCTION ops.forecast_quality, ops.business_figures FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.forecast_quality, ops.business_figures TO okr_metrics;
