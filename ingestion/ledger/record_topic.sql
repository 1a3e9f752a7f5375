INSERT INTO ops.ledger (
    verified_at, topic, produced, landed, rejected, loaded, waiting, distinct_events, duplicates, passed, problems
)
VALUES (
    %(verified_at)s, %(topic)s, %(produced)s, %(landed)s, %(rejected)s, %(loaded)s, %(waiting)s, %(distinct_events)s,
    %(duplicates)s, %(passed)s, %(problems)s
)
