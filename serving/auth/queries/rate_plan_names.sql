-- Grain: one rate plan.
SELECT plan AS name
FROM serving.rate_plan
ORDER BY plan
