INSERT INTO ops.ledger (
    verified_at, topic, produced, unlanded, pruned, landed, rejected, absent, loaded, waiting, distinct_events, duplicates,
    passed, problems
)
VALUES (
    %(verified_at)s, %(topic)s, %(produced)s, %(unlanded)s, %(pruned)s, %(landed)s, %(rejected)s, %(absent)s, %(loaded)s, %(waiting)s,
    %(distinct_events)s, %(duplicates)s, %(passed)s, %(problems)s
)
