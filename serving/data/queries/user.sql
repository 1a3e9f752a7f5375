-- Returns at most one row: a user who has a definition or activity.
SELECT user_id
FROM marts.dim_user
WHERE user_id = %(user_id)s
UNION
SELECT user_id
FROM marts.fct_user_activity_daily
WHERE user_id = %(user_id)s
