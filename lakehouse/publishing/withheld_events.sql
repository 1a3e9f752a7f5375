-- A hash of the ids of all withheld events.
SELECT md5(coalesce(string_agg(event_id::text, ',' ORDER BY event_id), '')) FROM intermediate.int_withheld_event;
