-- Run this in the transaction that attaches the partitions, so that a snapshot sees either all of the switch or nothing.
WITH attached AS (
    INSERT INTO publishing.attachment (publication_id) VALUES (%(shown)s) RETURNING attachment_id
)
INSERT INTO publishing.switch (attachment_id, publication_id)
SELECT attachment_id, %(shown)s FROM attached
