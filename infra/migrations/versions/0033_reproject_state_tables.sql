-- Revisions 0026 and 0027 let the state consumer read the topic again, of which a broker keeps 30 days. All events are in
-- app.event: what the new rules change is projected again from there when the consumer starts. (Key results, which stand on
-- the other definitions, are projected again since 0029.)
CREATE TABLE app.to_project (
    event_type text NOT NULL,
    entity_id text NOT NULL,
    PRIMARY KEY (event_type, entity_id)
);
COMMENT ON TABLE app.to_project IS 'Grain: an entity that a revision has the state consumer project again from app.event when it starts; empty afterwards.';
COMMENT ON COLUMN app.to_project.event_type IS 'The type of event that defines or records it.';

INSERT INTO app.to_project
SELECT DISTINCT 'okr.user.defined.v1', entity_id
FROM app.event
WHERE event_type = 'okr.user.deactivated.v1';

INSERT INTO app.to_project
SELECT 'okr.check_in.recorded.v1', entity_id
FROM app.event
WHERE event_type = 'okr.check_in.recorded.v1'
GROUP BY entity_id
HAVING min(data ->> 'key_result_id') <> max(data ->> 'key_result_id');
