-- Grain: one row per organisation and cycle, without archived key results. The figures are those of the team scorecard
-- (mart_team_scorecard), over all key results of the organisation in the cycle.
SELECT
    organisation,
    cycle_id,
    max(cycle_name) AS cycle_name,
    max(cycle_start) AS cycle_start,
    max(cycle_end) AS cycle_end,
    count(DISTINCT team_id) AS team_count,
    count(*) AS key_result_count,
    count(*) FILTER (WHERE is_closed) AS closed_count,
    count(*) FILTER (WHERE status = 'achieved') AS achieved_count,
    count(*) FILTER (WHERE status = 'missed') AS missed_count,
    count(*) FILTER (WHERE status = 'on_track') AS on_track_count,
    count(*) FILTER (WHERE status = 'at_risk') AS at_risk_count,
    count(*) FILTER (WHERE status = 'off_track') AS off_track_count,
    count(*) FILTER (WHERE status = 'no_check_in') AS no_check_in_count,
    count(*) FILTER (WHERE status = 'awaiting_close') AS awaiting_close_count,
    count(*) FILTER (WHERE status = 'not_started') AS not_started_count,
    count(*) FILTER (WHERE status = 'no_cycle') AS no_cycle_count,
    (
        sum((weight * final_score)::numeric) FILTER (WHERE is_closed)
        / nullif(sum(weight::numeric) FILTER (WHERE is_closed), 0)
    )::double precision AS attainment_ratio,
    count(*) FILTER (WHERE status = 'achieved')::double precision
    / nullif(count(*) FILTER (WHERE is_closed), 0) AS achieved_ratio,
    count(*) FILTER (WHERE status = 'on_track')::double precision
    / nullif(count(*) FILTER (WHERE status IN ('on_track', 'at_risk', 'off_track', 'no_check_in')), 0)
    AS on_track_ratio,
    (sum((weight * coalesce(score_ratio, 0))::numeric) / nullif(sum(weight::numeric), 0))::double precision
    AS score_to_date_ratio
FROM marts.mart_okr_scorecard
WHERE
    NOT is_archived
    AND (
        %(visible_organisation_id)s::text IS NULL
        OR team_id IN (
            SELECT team.team_id
            FROM marts.dim_team AS team
            WHERE team.is_current AND team.organisation_id = %(visible_organisation_id)s
        )
    )
    AND (%(cycle)s::text [] IS NULL OR cycle_id = ANY(%(cycle)s) OR cycle_name = ANY(%(cycle)s))
    AND (%(organisation)s::text [] IS NULL OR organisation = ANY(%(organisation)s))
GROUP BY organisation, cycle_id
