-- Grain: one row per model that has a directive, with its newest directive.
SELECT DISTINCT ON (model_name) model_name, directive_id, reference, created_at, created_by
FROM serving.model_directive
ORDER BY model_name, directive_id DESC
