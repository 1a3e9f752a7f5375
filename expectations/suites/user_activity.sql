-- name: check_ins_add_up
-- expect: the check-in counts of all users add up to the check-ins that name a user
SELECT in_users, in_check_ins
FROM (SELECT coalesce(sum(check_in_count), 0) AS in_users FROM {batch}) AS u
CROSS JOIN (SELECT count(*) AS in_check_ins FROM fct_check_in WHERE user_id IS NOT NULL) AS c
WHERE in_users <> in_check_ins

-- name: views_add_up
-- expect: the page view counts of all users add up to the page views in raw, without duplicates
SELECT in_users, in_raw
FROM (SELECT coalesce(sum(page_view_count), 0) AS in_users FROM {batch}) AS u
CROSS JOIN (
    SELECT count(DISTINCT event_id) AS in_raw
    FROM raw.okr_user_events
    WHERE event_type = 'okr.page.viewed.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
WHERE in_users <> in_raw
