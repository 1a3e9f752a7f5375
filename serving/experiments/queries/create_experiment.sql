INSERT INTO serving.experiment (name, model_name, unit, salt, arms, guardrails, created_by)
VALUES (%(name)s, %(model_name)s, %(unit)s, %(salt)s, %(arms)s, %(guardrails)s, %(created_by)s)
