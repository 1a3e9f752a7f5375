CREATE SCHEMA IF NOT EXISTS serving;
COMMENT ON SCHEMA serving IS 'State that all processes of the API share, on all hosts.';
GRANT USAGE ON SCHEMA serving TO okr_serving;

CREATE TABLE serving.rate_plan (
    plan text PRIMARY KEY CHECK (plan ~ '^[a-z][a-z0-9-]{0,39}$'),
    requests_per_second double precision NOT NULL CHECK (requests_per_second BETWEEN 0.01 AND 1000000),
    burst integer NOT NULL CHECK (burst BETWEEN 1 AND 1000000),
    description text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE serving.rate_plan IS 'Grain: a rate plan. Workers read all plans every ten seconds.';
COMMENT ON COLUMN serving.rate_plan.plan IS 'Name of the plan, as shown in the header RateLimit-Policy. Accounts with an unknown plan have the plan standard.';
COMMENT ON COLUMN serving.rate_plan.requests_per_second IS 'Requests per second that the plan allows permanently: the rate at which the bucket is refilled.';
COMMENT ON COLUMN serving.rate_plan.burst IS 'Requests that the plan allows at once: the capacity of the bucket.';
COMMENT ON COLUMN serving.rate_plan.description IS 'For whom the plan is meant.';
COMMENT ON COLUMN serving.rate_plan.updated_at IS 'When the plan was last changed, UTC.';

-- The same values as in serving/limits/rate_plan.py, which apply until the table has been read.
INSERT INTO serving.rate_plan (plan, requests_per_second, burst, description) VALUES
('standard', 200, 400, 'People and small apps: the plan of accounts that have no other plan.'),
('anonymous', 100, 400, 'One client address, for requests without a verified credential, such as logins.'),
('service', 2000, 4000, 'Apps that serve many users.'),
('internal', 50000, 50000, 'Systems of the same installation that call the API in bulk.');

-- The admin API changes plans. It cannot delete any, because accounts may refer to them.
GRANT SELECT, INSERT, UPDATE ON serving.rate_plan TO okr_serving;
