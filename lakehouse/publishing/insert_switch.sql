-- Run this in the transaction that attached the partitions, so that a snapshot sees all of the switch or none of it.
WITH attached AS (
    INSERT INTO publishing.attachment (publication_id) VALUES (%(shown)s) RETURNING attachment_id
)
INSERT INTO publishing.switch (attachment_id, publication_id)
SELECT attachment_id, %(shown)s FROM attached
