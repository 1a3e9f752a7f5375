-- Returns one row: the number of enabled accounts, other than the given one, that administer the installation. The rows
-- are locked, so that two changes at the same time cannot remove the last of them.
SELECT count(*) AS others
FROM (
    SELECT username
    FROM auth.account
    WHERE role = 'admin' AND organisation_id IS NULL AND disabled_at IS NULL
    ORDER BY username
    FOR UPDATE
) AS administrator
WHERE username <> %(username)s
