-- The alerts that had not been resolved when the publication was made, critical ones first, then the newest.
SELECT
    alert,
    severity,
    service,
    summary,
    runbook,
    started_at,
    count(*) OVER () AS alert_count
FROM marts.fct_alert
WHERE state = 'firing'
ORDER BY severity = 'critical' DESC NULLS LAST, started_at DESC, alert, fingerprint
LIMIT %(limit)s
