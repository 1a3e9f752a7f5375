SELECT held_since, kind, gate, rule, rules, run_id, publication_id, runs_held, newest_at, because AS reason
FROM ops.publication_hold
ORDER BY held_since;
