-- The first worker that finds the fault stops the arm; the others find it stopped.
UPDATE serving.experiment
SET stopped_arms = stopped_arms || jsonb_build_object(%(arm)s::text, %(reason)s::text)
WHERE experiment_id = %(experiment_id)s AND state = 'running' AND NOT stopped_arms ? %(arm)s::text
