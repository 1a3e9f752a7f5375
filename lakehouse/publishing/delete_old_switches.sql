-- Delete the rows of dropped versions, but never the newest row of either table.
WITH gone AS (
    DELETE FROM publishing.switch AS s
    WHERE to_regnamespace('marts_v' || s.publication_id) IS NULL AND switch_id < (SELECT max(switch_id) FROM publishing.switch)
)
DELETE FROM publishing.attachment AS a
WHERE to_regnamespace('marts_v' || a.publication_id) IS NULL
    AND attachment_id < (SELECT max(attachment_id) FROM publishing.attachment)
