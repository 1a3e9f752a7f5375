-- Grain: one decision on one event under one rule; the newest holds.
CREATE TABLE ops.event_review (
    event_id uuid NOT NULL,
    rule text NOT NULL CHECK (length(rule) BETWEEN 1 AND 64),
    decision text NOT NULL CHECK (decision IN ('release', 'withhold')),
    note text CHECK (length(note) <= 10000),
    decided_by text NOT NULL CHECK (length(decided_by) BETWEEN 1 AND 128),
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, rule)
);
COMMENT ON TABLE ops.event_review IS 'What operators decided on single events (okr quarantine); marts follow with the next run, state tables with the next event.';
COMMENT ON COLUMN ops.event_review.rule IS 'The rule that found the event, `manual` where none did.';
COMMENT ON COLUMN ops.event_review.decision IS 'release: it counts although its rule withholds it. withhold: it does not count.';
GRANT USAGE ON SCHEMA ops TO okr_loader;
GRANT SELECT ON ops.event_review TO okr_loader;
