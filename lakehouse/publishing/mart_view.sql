CREATE VIEW {view} AS
SELECT {columns}
FROM {store}
WHERE published_version = (
    SELECT publication_id FROM publishing.switch
    WHERE attachment_id <= publishing.newest_attachment()
    ORDER BY switch_id DESC LIMIT 1
)
