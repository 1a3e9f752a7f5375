-- Grain: at most one row, a user with a definition or with activity.
SELECT user_id
FROM marts.dim_user
WHERE user_id = %(user_id)s
UNION
SELECT user_id
FROM marts.fct_user_activity_daily
WHERE user_id = %(user_id)s
