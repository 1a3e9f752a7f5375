UPDATE serving.experiment
SET state = 'stopped', stopped_at = now(), started_at = coalesce(started_at, now()), stopped_because = %(reason)s
WHERE name = %(name)s AND state <> 'stopped'
