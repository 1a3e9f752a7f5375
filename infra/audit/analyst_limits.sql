-- Grain: one function of PostgreSQL that analysts may not call (infra/analysts/restricted_functions.sql) but can.
SELECT signature::text
FROM restricted_function
WHERE has_function_privilege('okr_analyst', signature, 'EXECUTE')
ORDER BY 1
