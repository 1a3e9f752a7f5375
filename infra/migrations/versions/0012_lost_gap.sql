ALTER TABLE ops.excused_gap ADD COLUMN is_lost boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN ops.excused_gap.is_lost IS 'The broker deleted these before they landed, and an operator went on without them (okr lake accept-loss).';
