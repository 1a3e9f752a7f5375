INSERT INTO serving.model_directive (model_name, reference, created_by)
VALUES (%(model_name)s, %(reference)s, %(created_by)s)
RETURNING model_name, directive_id, reference, created_at, created_by
