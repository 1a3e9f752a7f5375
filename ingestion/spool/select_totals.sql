SELECT
    events,
    bytes
FROM held
