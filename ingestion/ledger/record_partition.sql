INSERT INTO ops.ledger_partition (
    verified_at, topic, kafka_partition, produced, pruned, landed, rejected, unlanded, absent, loaded, waiting, problems
)
VALUES (
    %(verified_at)s, %(topic)s, %(partition)s, %(produced)s, %(pruned)s, %(landed)s, %(rejected)s, %(unlanded)s, %(absent)s,
    %(loaded)s, %(waiting)s, %(problems)s
)
