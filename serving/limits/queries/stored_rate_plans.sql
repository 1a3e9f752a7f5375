-- Grain: one rate plan.
SELECT plan AS name, requests_per_second, burst, description, updated_at
FROM serving.rate_plan
ORDER BY plan
