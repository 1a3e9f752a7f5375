-- Grain: one imported fact. `content` is a digest of its latest content; `revision` counts its changes.
create table if not exists sent_fact (
    fact blob primary key,
    content blob not null,
    revision integer not null
) without rowid;
