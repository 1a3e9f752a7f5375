-- Grain: one row per day with activity of the user, for the given number of days up to data_as_of.
SELECT day, page_view_count, check_in_count, key_result_count
FROM marts.fct_user_activity_daily
WHERE user_id = %(user_id)s
  AND day > (SELECT (data_as_of AT TIME ZONE 'UTC')::date - %(days)s::int FROM marts.publication)
ORDER BY day DESC
