SELECT EXISTS (
    SELECT FROM {}
    WHERE kafka_partition = %(partition)s AND kafka_offset < %(end)s
)
