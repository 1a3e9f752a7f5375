SELECT count(DISTINCT event_id) FILTER (WHERE is_withheld), count(DISTINCT event_id) FILTER (WHERE NOT is_withheld)
FROM marts.fct_reviewed_event
