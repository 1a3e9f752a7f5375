SELECT
    pg_try_advisory_lock(hashtextextended('okr lake maintain', 0)) AS is_ours,
    extract(EPOCH FROM clock_timestamp())::float8 AS now_s
