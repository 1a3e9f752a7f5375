SELECT experiment_id, name, model_name, unit, salt, arms, guardrails, state, stopped_arms, created_at, created_by,
       started_at, stopped_at, stopped_because AS stop_reason
FROM serving.experiment
WHERE state = 'running'
