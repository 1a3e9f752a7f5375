-- Grain: one event, in order of arrival. refused_because is the reason why the broker permanently rejected the event.
-- (The names of tables and columns must not change, because an upgrade must not lose events that are waiting.)
CREATE TABLE IF NOT EXISTS event (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused, so it identifies the event permanently
    topic TEXT NOT NULL,
    message_key BLOB,
    message_value BLOB NOT NULL,
    spooled_at REAL NOT NULL, -- seconds since 1970, host clock
    refused_because TEXT
);

CREATE INDEX IF NOT EXISTS event_waiting ON event (position) WHERE refused_because IS NULL;

-- Totals. They are maintained by triggers, because counting on each append would read the whole spool.
CREATE TABLE IF NOT EXISTS held (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL
);

INSERT OR IGNORE INTO held VALUES (1, 0, 0);

CREATE TRIGGER IF NOT EXISTS event_came AFTER INSERT ON event
BEGIN
    UPDATE held SET events = events + 1,
    bytes = bytes + coalesce(length(new.message_key), 0) + length(new.message_value);
END;

CREATE TRIGGER IF NOT EXISTS event_went AFTER DELETE ON event
BEGIN
    UPDATE held SET events = events - 1,
    bytes = bytes - coalesce(length(old.message_key), 0) - length(old.message_value);
END;
