WITH deleted AS (
    DELETE FROM {}
    WHERE kafka_partition = %(partition)s AND kafka_offset < %(end)s
    RETURNING kafka_offset
)

SELECT
    count(*) AS deleted_rows,
    coalesce(sum(kafka_offset), 0) AS offset_sum
FROM deleted
