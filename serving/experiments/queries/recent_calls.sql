-- Grain: one arm of an experiment, with the calls of all workers in the last minutes.
SELECT arm, sum(calls)::bigint AS calls, sum(failed_calls)::bigint AS failed_calls,
       sum(slow_calls)::bigint AS slow_calls
FROM serving.experiment_arm_minute
WHERE experiment_id = %(experiment_id)s AND minute > now() - make_interval(mins => %(window_minutes)s)
GROUP BY arm
ORDER BY arm
