INSERT INTO ops.pipeline_pause (pipeline, waiting)
VALUES (%(pipeline)s, %(waiting)s)
ON CONFLICT (pipeline) DO UPDATE SET seen_at = now(), waiting = excluded.waiting
