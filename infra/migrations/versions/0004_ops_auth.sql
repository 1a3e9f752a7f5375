-- Grain: one publication: all marts that one transaction swapped in.
CREATE TABLE ops.publication (
    publication_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    published_at timestamptz NOT NULL DEFAULT now(),
    data_as_of timestamptz NOT NULL,
    offsets jsonb NOT NULL,
    dbt_run_id text NOT NULL,
    gate jsonb NOT NULL,
    model_version text,
    rows jsonb NOT NULL,
    is_current boolean NOT NULL
);
CREATE UNIQUE INDEX publication_is_current ON ops.publication (is_current) WHERE is_current;
COMMENT ON TABLE ops.publication IS 'Every publication of the marts; at most one is current.';
COMMENT ON COLUMN ops.publication.offsets IS 'topic -> partition -> next offset: what of the log the marts hold.';
COMMENT ON COLUMN ops.publication.rows IS 'mart -> rows.';

-- Grain: one judgement of one gate.
CREATE TABLE ops.gate_result (
    gate_result_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gate text NOT NULL,
    run_id text NOT NULL,
    judged_at timestamptz NOT NULL DEFAULT now(),
    passed boolean NOT NULL,
    checked_rows bigint NOT NULL,
    expectations int NOT NULL,
    failed int NOT NULL,
    report jsonb NOT NULL
);
CREATE INDEX gate_result_gate_judged_at ON ops.gate_result (gate, judged_at DESC);
COMMENT ON TABLE ops.gate_result IS 'Every judgement of a quality gate, with how much it checked.';

-- Grain: one login of API and page.
CREATE TABLE auth.account (
    username text PRIMARY KEY,
    password_hash text NOT NULL,
    role text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
