-- Create or replace a rate plan. The time changes only with the content, so that a repeated request changes nothing.
INSERT INTO serving.rate_plan AS stored (plan, requests_per_second, burst, description)
VALUES (%(name)s, %(requests_per_second)s, %(burst)s, %(description)s)
ON CONFLICT (plan) DO UPDATE
SET
    requests_per_second = excluded.requests_per_second,
    burst = excluded.burst,
    description = excluded.description,
    updated_at = CASE
        WHEN
            (stored.requests_per_second, stored.burst, stored.description)
            = (excluded.requests_per_second, excluded.burst, excluded.description)
            THEN stored.updated_at
        ELSE now()
    END
RETURNING plan AS name, requests_per_second, burst, description, updated_at
