-- What a build depends on beside events: the next run is due when it has changed.
ALTER TABLE ops.publication ADD COLUMN inputs text;
COMMENT ON COLUMN ops.publication.inputs IS 'Hash of the dbt project and of the decisions on events as they were when its build began; null where nobody noted it.';

CREATE VIEW ops.loaded_review AS
SELECT review.*
FROM ops.event_review AS review
WHERE EXISTS (SELECT FROM raw.okr_user_events AS loaded WHERE loaded.event_id = review.event_id);
COMMENT ON VIEW ops.loaded_review IS 'Grain: one decision of ops.event_review on an event that is loaded: marts follow these alone.';
