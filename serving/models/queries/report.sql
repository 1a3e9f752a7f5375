INSERT INTO serving.worker_model (worker_id, model_name, directive_id, problem, versions)
VALUES (%(worker_id)s, %(model_name)s, %(directive_id)s, %(problem)s, %(versions)s)
ON CONFLICT (worker_id, model_name) DO UPDATE
SET directive_id = excluded.directive_id, problem = excluded.problem, versions = excluded.versions, reported_at = now()
