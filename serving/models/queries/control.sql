-- Grain: one model that has an instruction, with the newest.
SELECT DISTINCT ON (model_name) model_name, directive_id, reference, created_at, created_by
FROM serving.model_directive
ORDER BY model_name, directive_id DESC
