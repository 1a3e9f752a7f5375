-- name: samples_add_up
-- expect: the sample counts of all hours add up to the samples in raw, without duplicates
SELECT in_hours, in_raw
FROM (SELECT coalesce(sum(sample_count), 0) AS in_hours FROM {batch}) AS h
CROSS JOIN (
    SELECT count(DISTINCT event_id) AS in_raw
    FROM raw.okr_system_metrics
    WHERE event_type = 'okr.host_metric.sampled.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
WHERE in_hours <> in_raw
