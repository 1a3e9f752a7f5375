-- Returns one row: the number of enabled accounts, other than the given one, that administer the installation.
SELECT count(*) AS others
FROM auth.account
WHERE role = 'admin' AND organisation_id IS NULL AND disabled_at IS NULL AND username <> %(username)s
